// From rows of the tables to struct row, and the statements of a kind.
#include "store/internal.h"
#include "store/kinds.h"

#include <assert.h>

// --- rows ---

void row_columns(struct buffer *sql, enum kind kind)
{
    const struct kind_info *info = kind_info(kind);

    buffer_append_string(sql, "seq, id, project, name, state, transition_at, revision");
    for (int i = 0; i < KIND_COLUMNS_MAX && info->columns[i]; i++)
        buffer_printf(sql, ", %s", info->columns[i]);
    buffer_append_string(sql, ", record, document");
}

// A name that is the id is not in the index of names (schema.c); the index of ids has it.
void row_named(struct buffer *sql, enum kind kind, const char *project, int param)
{
    const char *table = kind_name(kind);

    buffer_printf(sql,
                  "seq IN (SELECT seq FROM %s WHERE %sname = ?%d AND name <> id"
                  " UNION ALL SELECT seq FROM %s WHERE id = ?%d AND name = id)",
                  table, project, param, table, param);
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

int store_prepared(struct store *s, enum statement_use use, enum kind kind, unsigned shape,
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

int row_read_one(struct store *s, sqlite3_stmt *st, enum kind kind, struct arena *arena,
                 struct row *out, struct error *err)
{
    int result = statement_step(&s->c, st, err);

    if (result == 1) {
        row_read(st, kind, arena, out);
        sqlite3_reset(st);
    }
    return result;
}
