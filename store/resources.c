#include "store/internal.h"
#include "store/kinds.h"

#include <assert.h>
#include <string.h>

// --- rows ---

enum { COL_SEQ, COL_ID, COL_PROJECT, COL_NAME, COL_STATE, COL_TRANSITION, COL_REVISION, COL_OWN };

void row_columns(struct buffer *sql, enum kind kind)
{
    const struct kind_info *info = kind_info(kind);

    buffer_append_string(sql, "seq, id, project, name, state, transition_at, revision");
    for (int i = 0; i < KIND_COLUMNS_MAX && info->columns[i]; i++)
        buffer_printf(sql, ", %s", info->columns[i]);
    buffer_append_string(sql, ", record, document");
}

static const char *text_at(sqlite3_stmt *st, int index, struct arena *arena)
{
    const char *text = column_text(st, index);

    if (!arena || !text)
        return text;
    return arena_strndup(arena, text, (size_t)sqlite3_column_bytes(st, index));
}

static struct bytes bytes_at(sqlite3_stmt *st, int index, struct arena *arena)
{
    struct bytes bytes = column_blob(st, index);

    if (arena)
        bytes.data = arena_strndup(arena, bytes.data, bytes.length);
    return bytes;
}

void row_read(sqlite3_stmt *st, enum kind kind, struct arena *arena, struct row *out)
{
    const char *names[KIND_COLUMNS_MAX];
    int columns = (int)kind_columns(kind, names);

    *out = (struct row){
        .seq = sqlite3_column_int64(st, COL_SEQ),
        .id = text_at(st, COL_ID, arena),
        .project = sqlite3_column_int64(st, COL_PROJECT),
        .name = text_at(st, COL_NAME, arena),
        .state = sqlite3_column_int(st, COL_STATE),
        .transition_ns = sqlite3_column_int64(st, COL_TRANSITION),
        .revision = sqlite3_column_int64(st, COL_REVISION),
        .record = bytes_at(st, COL_OWN + columns, arena),
        .document = bytes_at(st, COL_OWN + columns + 1, arena),
    };
    for (int i = 0; i < columns; i++)
        out->columns[i] = text_at(st, COL_OWN + i, arena);
}

// --- building statements ---

typedef void sql_builder(struct buffer *sql, enum kind kind, unsigned shape);

// The statement of this use, kind and shape, built when it is needed first.
static int prepared(struct store *s, enum statement_use use, enum kind kind, unsigned shape,
                    sql_builder *build, sqlite3_stmt **out, struct error *err)
{
    uint64_t key = statement_key(use, kind, shape);
    struct buffer sql;
    int result = statement_ready(&s->c, err);

    assert(kind_info(kind)->has_table);
    if (result < 0)
        return result;
    *out = statement_find(&s->c, key);
    if (*out)
        return 0;
    buffer_init(&sql);
    build(&sql, kind, shape);
    buffer_append(&sql, "", 1);
    if (sql.failed)
        result = error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    else
        result = statement_add(&s->c, key, sql.data, out, err);
    buffer_fini(&sql);
    return result;
}

// One row of a SELECT over row_columns: 1, 0 or negative.
static int read_one(struct store *s, sqlite3_stmt *st, enum kind kind, struct arena *arena,
                    struct row *out, struct error *err)
{
    int result = statement_step(&s->c, st, err);

    if (result == 1) {
        row_read(st, kind, arena, out);
        sqlite3_reset(st);
    }
    return result;
}

// --- put ---

static void bind_transition(sqlite3_stmt *st, int index, int64_t transition_ns)
{
    if (transition_ns)
        sqlite3_bind_int64(st, index, transition_ns);
    else
        sqlite3_bind_null(st, index);
}

static void insert_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    const char *names[KIND_COLUMNS_MAX];
    size_t columns = kind_columns(kind, names);

    (void)shape;
    buffer_printf(sql, "INSERT INTO %s (", kind_name(kind));
    row_columns(sql, kind);
    buffer_append_string(sql, ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7");
    for (size_t i = 0; i < columns + 2; i++)
        buffer_printf(sql, ", ?%zu", COL_OWN + 1 + i);
    buffer_append_string(sql, ")");
}

static int insert(struct store *s, enum kind kind, struct row *row, struct error *err)
{
    const char *names[KIND_COLUMNS_MAX];
    int columns = (int)kind_columns(kind, names);
    sqlite3_stmt *st;
    int result = prepared(s, USE_INSERT, kind, 0, insert_sql, &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1 + COL_SEQ, row->revision);
    bind_text(st, 1 + COL_ID, row->id);
    sqlite3_bind_int64(st, 1 + COL_PROJECT, row->project);
    bind_text(st, 1 + COL_NAME, row->name);
    sqlite3_bind_int(st, 1 + COL_STATE, row->state);
    bind_transition(st, 1 + COL_TRANSITION, row->transition_ns);
    sqlite3_bind_int64(st, 1 + COL_REVISION, row->revision);
    for (int i = 0; i < columns; i++)
        bind_text(st, 1 + COL_OWN + i, row->columns[i]);
    bind_blob(st, 1 + COL_OWN + columns, row->record);
    bind_blob(st, 2 + COL_OWN + columns, row->document);
    result = statement_run(&s->c, st, err);
    if (result == 0)
        row->seq = row->revision;
    return result;
}

// SQLite rewrites the index entry of every column that an UPDATE names, changed or not; so it names
// only those that change. Shape: these bits, and CHANGED_OWN << i for the kind's own columns.
enum { CHANGED_NAME = 1, CHANGED_STATE = 2, CHANGED_OWN = 4 };

static void indexed_columns_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    const char *names[KIND_COLUMNS_MAX];
    size_t columns = kind_columns(kind, names);

    (void)shape;
    buffer_append_string(sql, "SELECT name, state");
    for (size_t i = 0; i < columns; i++)
        buffer_printf(sql, ", %s", names[i]);
    buffer_printf(sql, " FROM %s WHERE seq = ?1", kind_name(kind));
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

// The shape of the update of `row`, or a negative error.
static int find_changed(struct store *s, enum kind kind, const struct row *row, struct error *err)
{
    const char *names[KIND_COLUMNS_MAX];
    int columns = (int)kind_columns(kind, names);
    sqlite3_stmt *st;
    int changed = 0;
    int result = prepared(s, USE_INDEXED_COLUMNS, kind, 0, indexed_columns_sql, &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, row->seq);
    result = statement_step(&s->c, st, err);
    if (result == 0)
        return error_set(err, ERROR_INTERNAL, NULL, "%s %s to be updated is not there",
                         kind_name(kind), row->id);
    if (result < 0)
        return result;
    changed |= same_text(column_text(st, 0), row->name) ? 0 : CHANGED_NAME;
    changed |= sqlite3_column_int(st, 1) == row->state ? 0 : CHANGED_STATE;
    for (int i = 0; i < columns; i++)
        changed |= same_text(column_text(st, 2 + i), row->columns[i]) ? 0 : CHANGED_OWN << i;
    sqlite3_reset(st);
    return changed;
}

static void update_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    const char *names[KIND_COLUMNS_MAX];
    unsigned columns = (unsigned)kind_columns(kind, names);

    buffer_printf(sql,
                  "UPDATE %s SET transition_at = ?2, revision = ?3, record = ?4, document = ?5",
                  kind_name(kind));
    if (shape & CHANGED_NAME)
        buffer_append_string(sql, ", name = ?6");
    if (shape & CHANGED_STATE)
        buffer_append_string(sql, ", state = ?7");
    for (unsigned i = 0; i < columns; i++) {
        if (shape & (unsigned)CHANGED_OWN << i)
            buffer_printf(sql, ", %s = ?%u", names[i], 8 + i);
    }
    buffer_append_string(sql, " WHERE seq = ?1");
}

static int update(struct store *s, enum kind kind, const struct row *row, struct error *err)
{
    sqlite3_stmt *st;
    int changed = find_changed(s, kind, row, err);
    int result = changed;

    if (result >= 0)
        result = prepared(s, USE_UPDATE, kind, (unsigned)changed, update_sql, &st, err);
    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, row->seq);
    bind_transition(st, 2, row->transition_ns);
    sqlite3_bind_int64(st, 3, row->revision);
    bind_blob(st, 4, row->record);
    bind_blob(st, 5, row->document);
    if (changed & CHANGED_NAME)
        bind_text(st, 6, row->name);
    if (changed & CHANGED_STATE)
        sqlite3_bind_int(st, 7, row->state);
    for (int i = 0; i < KIND_COLUMNS_MAX; i++) {
        if (changed & CHANGED_OWN << i)
            bind_text(st, 8 + i, row->columns[i]);
    }
    return statement_run(&s->c, st, err);
}

int store_put(struct store *s, enum kind kind, struct row *row, struct error *err)
{
    int result = row->seq == 0 ? insert(s, kind, row, err) : update(s, kind, row, err);

    if (result == 0 && row->transition_ns && row->transition_ns < s->due_bound[kind])
        s->due_bound[kind] = row->transition_ns;
    return result;
}

// --- delete ---

static void delete_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    (void)shape;
    buffer_printf(sql, "DELETE FROM %s WHERE seq = ?1", kind_name(kind));
}

int store_delete(struct store *s, enum kind kind, int64_t seq, const char *id, struct error *err)
{
    sqlite3_stmt *st;
    int result = relations_delete(s, kind, seq, id, err);

    if (result == 0)
        result = prepared(s, USE_DELETE, kind, 0, delete_sql, &st, err);
    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, seq);
    return statement_run(&s->c, st, err);
}

// --- get ---

static void get_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    (void)shape;
    buffer_append_string(sql, "SELECT ");
    row_columns(sql, kind);
    buffer_printf(sql, " FROM %s WHERE id = ?1 AND (?2 = 0 OR project = ?2)", kind_name(kind));
}

int store_get(struct store *s, enum kind kind, int64_t project, const char *id, struct arena *arena,
              struct row *out, struct error *err)
{
    sqlite3_stmt *st;
    int result = prepared(s, USE_GET, kind, 0, get_sql, &st, err);

    if (result < 0)
        return result;
    bind_text(st, 1, id);
    sqlite3_bind_int64(st, 2, project);
    return read_one(s, st, kind, arena, out, err);
}

// Shape of a search: which conditions it has.
enum { FIND_PROJECT = 1, FIND_NAME = 2, FIND_OWN = 4 };

static void find_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    const char *names[KIND_COLUMNS_MAX];
    unsigned columns = (unsigned)kind_columns(kind, names);

    buffer_append_string(sql, "SELECT ");
    row_columns(sql, kind);
    buffer_printf(sql, " FROM %s WHERE ((1 << state) & ?1) = 0", kind_name(kind));
    if (shape & FIND_PROJECT)
        buffer_append_string(sql, " AND project = ?2");
    if (shape & FIND_NAME)
        buffer_append_string(sql, " AND name = ?3");
    for (unsigned i = 0; i < columns; i++) {
        if (shape & (unsigned)FIND_OWN << i)
            buffer_printf(sql, " AND %s = ?%u", names[i], 4 + i);
    }
    buffer_append_string(sql, " ORDER BY seq LIMIT 1");
}

static int find(struct store *s, enum kind kind, int64_t project, const char *name,
                const char *const columns[KIND_COLUMNS_MAX], uint32_t not_states,
                struct arena *arena, struct row *out, struct error *err)
{
    unsigned shape = (project ? FIND_PROJECT : 0U) | (name ? FIND_NAME : 0U);
    sqlite3_stmt *st;
    int result;

    for (int i = 0; i < KIND_COLUMNS_MAX; i++)
        shape |= columns && columns[i] ? (unsigned)FIND_OWN << i : 0U;
    result = prepared(s, USE_FIND, kind, shape, find_sql, &st, err);
    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, not_states);
    if (project)
        sqlite3_bind_int64(st, 2, project);
    if (name)
        bind_text(st, 3, name);
    for (int i = 0; i < KIND_COLUMNS_MAX; i++) {
        if (columns && columns[i])
            bind_text(st, 4 + i, columns[i]);
    }
    return read_one(s, st, kind, arena, out, err);
}

int store_get_by_name(struct store *s, enum kind kind, int64_t project, const char *name,
                      uint32_t not_states, struct arena *arena, struct row *out, struct error *err)
{
    return find(s, kind, project, name, NULL, not_states, arena, out, err);
}

int store_get_by_columns(struct store *s, enum kind kind, int64_t project,
                         const char *const columns[KIND_COLUMNS_MAX], uint32_t not_states,
                         struct arena *arena, struct row *out, struct error *err)
{
    return find(s, kind, project, NULL, columns, not_states, arena, out, err);
}

// --- deadlines ---

static void due_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    (void)shape;
    buffer_append_string(sql, "SELECT ");
    row_columns(sql, kind);
    buffer_printf(sql,
                  " FROM %s INDEXED BY %s_due WHERE transition_at IS NOT NULL"
                  " ORDER BY transition_at, revision LIMIT 1",
                  kind_name(kind), kind_name(kind));
}

// Looks at the kind's first deadline, leaving the statement on its row (1) or without one (0).
static int first_due(struct store *s, enum kind kind, sqlite3_stmt **out, struct error *err)
{
    int result = prepared(s, USE_DUE, kind, 0, due_sql, out, err);

    if (result == 0)
        result = statement_step(&s->c, *out, err);
    if (result >= 0)
        s->due_bound[kind] = result == 1 ? sqlite3_column_int64(*out, COL_TRANSITION) : INT64_MAX;
    return result;
}

static bool is_earlier(sqlite3_stmt *st, int64_t ns, int64_t revision)
{
    int64_t transition_ns = sqlite3_column_int64(st, COL_TRANSITION);

    return transition_ns < ns ||
           (transition_ns == ns && sqlite3_column_int64(st, COL_REVISION) < revision);
}

int store_next_due(struct store *s, int64_t up_to_ns, struct arena *arena, enum kind *out_kind,
                   struct row *out, struct error *err)
{
    int64_t best_ns = up_to_ns, best_revision = INT64_MAX;
    sqlite3_stmt *st, *best = NULL;
    int result;

    for (int i = 0; i < KIND_COUNT; i++) {
        enum kind kind = (enum kind)i;
        if (!kind_info(kind)->has_table || s->due_bound[kind] > best_ns)
            continue;
        result = first_due(s, kind, &st, err);
        if (result == 1 && is_earlier(st, best_ns, best_revision)) {
            if (best)
                sqlite3_reset(best);
            best = st;
            best_ns = sqlite3_column_int64(st, COL_TRANSITION);
            best_revision = sqlite3_column_int64(st, COL_REVISION);
            *out_kind = kind;
        } else if (result == 1) {
            sqlite3_reset(st);
        } else if (result < 0) {
            if (best)
                sqlite3_reset(best);
            return result;
        }
    }
    if (!best)
        return 0;
    row_read(best, *out_kind, arena, out);
    sqlite3_reset(best);
    return 1;
}

int store_next_transition(struct store *s, int64_t *out_ns, struct error *err)
{
    int64_t first = INT64_MAX;
    sqlite3_stmt *st;

    for (int i = 0; i < KIND_COUNT; i++) {
        enum kind kind = (enum kind)i;
        int result;
        if (!kind_info(kind)->has_table || s->due_bound[kind] >= first)
            continue;
        result = first_due(s, kind, &st, err);
        if (result < 0)
            return result;
        if (result == 1)
            sqlite3_reset(st);
        if (s->due_bound[kind] < first)
            first = s->due_bound[kind];
    }
    *out_ns = first == INT64_MAX ? 0 : first;
    return 0;
}

// --- all of a kind ---

static void each_sql(struct buffer *sql, enum kind kind)
{
    buffer_append_string(sql, "SELECT ");
    row_columns(sql, kind);
    buffer_printf(sql, " FROM %s WHERE ?1 = 0 OR project = ?1 ORDER BY seq", kind_name(kind));
    buffer_append(sql, "", 1);
}

// Not from the kept statements: the callback may come here again.
int store_each(struct store *s, enum kind kind, int64_t project,
               int (*each)(void *context, const struct row *row, struct error *err), void *context,
               struct error *err)
{
    struct buffer sql;
    sqlite3_stmt *st = NULL;
    struct row row;
    int result = statement_ready(&s->c, err), rc;

    if (result < 0)
        return result;
    buffer_init(&sql);
    each_sql(&sql, kind);
    rc = sql.failed ? SQLITE_NOMEM : sqlite3_prepare_v2(s->c.db, sql.data, -1, &st, NULL);
    buffer_fini(&sql);
    if (rc != SQLITE_OK)
        return connection_error(&s->c, rc, err);
    sqlite3_bind_int64(st, 1, project);
    while ((result = statement_step(&s->c, st, err)) == 1) {
        row_read(st, kind, NULL, &row);
        result = each(context, &row, err);
        if (result < 0)
            break;
    }
    sqlite3_finalize(st);
    return result;
}

static void count_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    buffer_printf(sql, "SELECT count(*) FROM %s%s", kind_name(kind),
                  shape ? " WHERE project = ?1" : "");
}

int store_count(struct store *s, enum kind kind, int64_t project, int64_t *out, struct error *err)
{
    sqlite3_stmt *st;
    int result = prepared(s, USE_COUNT, kind, project != 0, count_sql, &st, err);

    if (result < 0)
        return result;
    if (project)
        sqlite3_bind_int64(st, 1, project);
    result = statement_step(&s->c, st, err);
    if (result < 0)
        return result;
    *out = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 0;
}
