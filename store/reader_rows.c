// Rows, for readers: what a dialect that renders from the record needs.
#include "store/internal.h"

typedef void condition_builder(struct buffer *sql, enum kind kind);

static int reader_prepared(struct reader *r, enum statement_use use, enum kind kind,
                           condition_builder *condition, sqlite3_stmt **out, struct error *err)
{
    uint64_t key = statement_key(use, kind, 0);
    struct buffer sql;
    int result;

    *out = statement_find(&r->c, key);
    if (*out)
        return 0;
    buffer_init(&sql);
    buffer_append_string(&sql, "SELECT ");
    row_columns(&sql, kind);
    buffer_printf(&sql, " FROM %s WHERE ", kind_name(kind));
    condition(&sql, kind);
    buffer_append(&sql, "", 1);
    result = sql.failed ? error_set(err, ERROR_INTERNAL, NULL, "out of memory")
                        : statement_add(&r->c, key, sql.data, out, err);
    buffer_fini(&sql);
    return result;
}

static void has_id(struct buffer *sql, enum kind kind)
{
    (void)kind;
    buffer_append_string(sql, "id = ?1");
}

int reader_row(struct reader *r, enum kind kind, const char *id, struct arena *arena,
               struct row *out, struct error *err)
{
    sqlite3_stmt *st;
    int result = reader_prepared(r, USE_GET, kind, has_id, &st, err);

    if (result < 0)
        return result;
    bind_text(st, 1, id);
    result = statement_step(&r->c, st, err);
    if (result == 1) {
        row_read(st, kind, arena, out);
        sqlite3_reset(st);
    }
    return result;
}

#define IN_PROJECT "project IN (SELECT seq FROM project WHERE ?1 IN (0, seq)) AND "

static void has_name(struct buffer *sql, enum kind kind)
{
    buffer_append_string(sql, IN_PROJECT);
    row_named(sql, kind, IN_PROJECT, 2);
    buffer_append_string(sql, " AND ((1 << state) & ?3) = 0 ORDER BY seq LIMIT ?4");
}

int reader_rows_named(struct reader *r, enum kind kind, int64_t project, const char *name,
                      uint32_t not_states, struct arena *arena, struct row *out, int limit,
                      struct error *err)
{
    sqlite3_stmt *st;
    int count = 0;
    int result = reader_prepared(r, USE_FIND, kind, has_name, &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, project);
    bind_text(st, 2, name);
    sqlite3_bind_int64(st, 3, not_states);
    sqlite3_bind_int(st, 4, limit);
    while ((result = statement_step(&r->c, st, err)) == 1)
        row_read(st, kind, arena, &out[count++]);
    return result < 0 ? result : count;
}

int reader_ip_owner(struct reader *r, const struct ip *ip, struct arena *arena, const char **out_id,
                    struct error *err)
{
    struct ip_key key = ip_key_of(ip);
    sqlite3_stmt *st;
    int result =
        statement_get(&r->c, USE_IP_OWNER, "SELECT owner FROM ip WHERE address = ?1", &st, err);

    if (result < 0)
        return result;
    bind_blob(st, 1, (struct bytes){key.bytes, key.length});
    result = statement_step(&r->c, st, err);
    if (result == 1) {
        *out_id = arena_strdup(arena, column_text(st, 0));
        sqlite3_reset(st);
    }
    return result;
}
