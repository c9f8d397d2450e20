// Writing resources.
#include "store/internal.h"
#include "store/kinds.h"

#include <string.h>

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
    int result = store_prepared(s, USE_INSERT, kind, 0, insert_sql, &st, err);

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
    int result = store_prepared(s, USE_INDEXED_COLUMNS, kind, 0, indexed_columns_sql, &st, err);

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
        result = store_prepared(s, USE_UPDATE, kind, (unsigned)changed, update_sql, &st, err);
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

int store_delete(struct store *s, enum kind kind, int64_t seq, struct error *err)
{
    sqlite3_stmt *st;
    int result = relations_delete(s, kind, seq, err);

    if (result < 0)
        return result;
    result = store_prepared(s, USE_DELETE, kind, 0, delete_sql, &st, err);
    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, seq);
    return statement_run(&s->c, st, err);
}
