// Finding resources, for the writer.
#include "store/internal.h"
#include "store/kinds.h"

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
    int result = store_prepared(s, USE_GET, kind, 0, get_sql, &st, err);

    if (result < 0)
        return result;
    bind_text(st, 1, id);
    sqlite3_bind_int64(st, 2, project);
    return row_read_one(s, st, kind, arena, out, err);
}

static void has_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    (void)shape;
    buffer_printf(sql, "SELECT 1 FROM %s WHERE seq = ?1", kind_name(kind));
}

int store_has(struct store *s, enum kind kind, int64_t seq, struct error *err)
{
    sqlite3_stmt *st;
    int result = store_prepared(s, USE_HAS, kind, 0, has_sql, &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, seq);
    result = statement_step(&s->c, st, err);
    if (result == 1)
        sqlite3_reset(st);
    return result;
}

// Shape of a search: which conditions it has.
enum { FIND_PROJECT = 1, FIND_NAME = 2, FIND_OWN = 4 };

static void find_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    const char *names[KIND_COLUMNS_MAX];
    unsigned columns = (unsigned)kind_columns(kind, names);

    buffer_append_string(sql, "SELECT ");
    row_columns(sql, kind);
    buffer_printf(sql, " FROM %s%s WHERE ((1 << state) & ?1) = 0", kind_name(kind),
                  shape & FIND_NAME ? " NOT INDEXED" : "");
    if (shape & FIND_PROJECT)
        buffer_append_string(sql, " AND project = ?2");
    if (shape & FIND_NAME) {
        buffer_append_string(sql, " AND ");
        row_named(sql, kind, shape & FIND_PROJECT ? "project = ?2 AND " : "", 3);
    }
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
    result = store_prepared(s, USE_FIND, kind, shape, find_sql, &st, err);
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
    return row_read_one(s, st, kind, arena, out, err);
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
    int result = store_prepared(s, USE_DUE, kind, 0, due_sql, out, err);

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

static void tally_sql(struct buffer *sql, enum kind kind, int columns)
{
    const char *names[KIND_COLUMNS_MAX];

    kind_columns(kind, names);
    buffer_append_string(sql, "SELECT count(*), project, state");
    for (int i = 0; i < columns; i++)
        buffer_printf(sql, ", %s", names[i]);
    buffer_printf(sql, " FROM %s GROUP BY 2, 3", kind_name(kind));
    for (int i = 0; i < columns; i++)
        buffer_printf(sql, ", %d", i + 4);
    buffer_append(sql, "", 1);
}

int store_tally(struct store *s, enum kind kind, int columns,
                int (*each)(void *context, const struct row *row, int64_t count), void *context,
                struct error *err)
{
    struct buffer sql;
    sqlite3_stmt *st = NULL;
    int result, rc;

    buffer_init(&sql);
    tally_sql(&sql, kind, columns);
    rc = sql.failed ? SQLITE_NOMEM : sqlite3_prepare_v2(s->c.db, sql.data, -1, &st, NULL);
    buffer_fini(&sql);
    if (rc != SQLITE_OK)
        return connection_error(&s->c, rc, err);
    while ((result = statement_step(&s->c, st, err)) == 1) {
        struct row row = {.project = sqlite3_column_int64(st, 1),
                          .state = sqlite3_column_int(st, 2)};
        for (int i = 0; i < columns; i++)
            row.columns[i] = column_text(st, 3 + i);
        result = each(context, &row, sqlite3_column_int64(st, 0));
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
    int result = store_prepared(s, USE_COUNT, kind, project != 0, count_sql, &st, err);

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
