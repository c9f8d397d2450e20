// The event log, answers kept for Idempotency-Key, tokens, and the numbers that the cloud keeps.
#include "store/internal.h"

// --- events ---

int store_event_append(struct store *s, const struct event *event, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_EVENT_INSERT,
                               "INSERT INTO event (revision, kind, project, time, type, cause, id,"
                               " project_name, operation, document, seq, previous)"
                               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                               &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, event->revision);
    sqlite3_bind_int(st, 2, (int)event->kind);
    sqlite3_bind_int64(st, 3, event->project);
    sqlite3_bind_int64(st, 4, event->time_ns);
    sqlite3_bind_int(st, 5, (int)event->type);
    sqlite3_bind_int(st, 6, (int)event->cause);
    bind_text(st, 7, event->id);
    bind_text(st, 8, event->project_name);
    bind_text(st, 9, event->operation);
    bind_blob(st, 10, event->document);
    sqlite3_bind_int64(st, 11, event->seq);
    sqlite3_bind_int64(st, 12, event->previous);
    return statement_run(&s->c, st, err);
}

int store_events_trim(struct store *s, int64_t up_to, int limit, int64_t *out_bytes,
                      struct error *err)
{
    int64_t trimmed = 0, bytes = 0;
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_EVENTS_TRIM,
                               "DELETE FROM event WHERE revision IN (SELECT revision FROM event"
                               " WHERE revision <= ?1"
                               " AND revision < (SELECT max(revision) FROM event)"
                               " ORDER BY revision LIMIT ?2) RETURNING revision, length(document)",
                               &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, up_to);
    sqlite3_bind_int(st, 2, limit);
    while ((result = statement_step(&s->c, st, err)) == 1) {
        if (sqlite3_column_int64(st, 0) > trimmed)
            trimmed = sqlite3_column_int64(st, 0);
        bytes += sqlite3_column_int64(st, 1);
    }
    if (result == 0 && trimmed)
        result = store_meta_set_int(s, STORE_TRIMMED_KEY, trimmed, err);
    if (result == 0)
        *out_bytes = bytes;
    return result;
}

// --- idempotency ---

int store_idempotent_get(struct store *s, int64_t project, const char *operation, const char *key,
                         struct arena *arena, struct idempotent *out, struct error *err)
{
    struct bytes document;
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_IDEMPOTENT_GET,
                               "SELECT fingerprint, created, revision, id, document FROM idempotent"
                               " WHERE project = ?1 AND operation = ?2 AND key = ?3",
                               &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, project);
    bind_text(st, 2, operation);
    bind_text(st, 3, key);
    result = statement_step(&s->c, st, err);
    if (result != 1)
        return result;
    document = column_blob(st, 4);
    *out = (struct idempotent){
        .project = project,
        .operation = arena_strdup(arena, operation),
        .key = arena_strdup(arena, key),
        .fingerprint = (uint64_t)sqlite3_column_int64(st, 0),
        .created_ns = sqlite3_column_int64(st, 1),
        .revision = sqlite3_column_int64(st, 2),
        .id = arena_strdup(arena, column_text(st, 3)),
        .document = {arena_strndup(arena, document.data, document.length), document.length},
    };
    sqlite3_reset(st);
    return 1;
}

int store_idempotent_put(struct store *s, const struct idempotent *entry, struct error *err)
{
    sqlite3_stmt *st;
    int result =
        statement_get(&s->c, USE_IDEMPOTENT_PUT,
                      "INSERT INTO idempotent (project, operation, key, fingerprint, created,"
                      " revision, id, document) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                      &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, entry->project);
    bind_text(st, 2, entry->operation);
    bind_text(st, 3, entry->key);
    sqlite3_bind_int64(st, 4, (int64_t)entry->fingerprint);
    sqlite3_bind_int64(st, 5, entry->created_ns);
    sqlite3_bind_int64(st, 6, entry->revision);
    bind_text(st, 7, entry->id);
    bind_blob(st, 8, entry->document);
    return statement_run(&s->c, st, err);
}

// Cloud time never goes back, so the oldest entries are the first ones, and no index on time is
// needed.
int store_idempotent_trim(struct store *s, int64_t before_ns, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_IDEMPOTENT_TRIM,
                               "DELETE FROM idempotent WHERE seq < coalesce((SELECT seq FROM"
                               " idempotent NOT INDEXED WHERE created >= ?1 ORDER BY seq LIMIT 1),"
                               " 9223372036854775807)",
                               &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, before_ns);
    return statement_run(&s->c, st, err);
}

int store_idempotent_delete(struct store *s, int64_t project, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_IDEMPOTENT_DELETE,
                               "DELETE FROM idempotent WHERE project = ?1", &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, project);
    return statement_run(&s->c, st, err);
}

// --- tokens ---

int store_token_put(struct store *s, const char *token, int64_t project, int scope,
                    struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_TOKEN_PUT,
                               "INSERT OR REPLACE INTO token VALUES (?1, ?2, ?3)", &st, err);

    if (result < 0)
        return result;
    bind_text(st, 1, token);
    sqlite3_bind_int64(st, 2, project);
    sqlite3_bind_int(st, 3, scope);
    return statement_run(&s->c, st, err);
}

int store_tokens_delete(struct store *s, int64_t project, struct error *err)
{
    sqlite3_stmt *st;
    int result =
        statement_get(&s->c, USE_TOKENS_DELETE, "DELETE FROM token WHERE project = ?1", &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, project);
    return statement_run(&s->c, st, err);
}

int store_tokens_each(struct store *s,
                      int (*each)(void *context, const char *token, int64_t project, int scope),
                      void *context, struct error *err)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(s->c.db, "SELECT token, project, scope FROM token ORDER BY token",
                                -1, &st, NULL);
    int result;

    if (rc != SQLITE_OK)
        return connection_error(&s->c, rc, err);
    while ((result = statement_step(&s->c, st, err)) == 1) {
        result = each(context, column_text(st, 0), sqlite3_column_int64(st, 1),
                      sqlite3_column_int(st, 2));
        if (result < 0)
            break;
    }
    sqlite3_finalize(st);
    return result;
}

// --- meta ---

// The statement on the row of the key (1), or reset (0).
static int meta_find(struct store *s, const char *key, sqlite3_stmt **out, struct error *err)
{
    int result =
        statement_get(&s->c, USE_META_GET, "SELECT value FROM meta WHERE key = ?1", out, err);

    if (result < 0)
        return result;
    bind_text(*out, 1, key);
    return statement_step(&s->c, *out, err);
}

int store_meta_get_int(struct store *s, const char *key, int64_t *inout, struct error *err)
{
    sqlite3_stmt *st;
    int result = meta_find(s, key, &st, err);

    if (result == 1) {
        *inout = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    return result < 0 ? result : 0;
}

int store_meta_get_double(struct store *s, const char *key, double *inout, struct error *err)
{
    sqlite3_stmt *st;
    int result = meta_find(s, key, &st, err);

    if (result == 1) {
        *inout = sqlite3_column_double(st, 0);
        sqlite3_reset(st);
    }
    return result < 0 ? result : 0;
}

static int meta_setting(struct store *s, const char *key, sqlite3_stmt **out, struct error *err)
{
    int result =
        statement_get(&s->c, USE_META_SET, "INSERT OR REPLACE INTO meta VALUES (?1, ?2)", out, err);

    if (result == 0)
        bind_text(*out, 1, key);
    return result;
}

int store_meta_set_int(struct store *s, const char *key, int64_t value, struct error *err)
{
    sqlite3_stmt *st;
    int result = meta_setting(s, key, &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 2, value);
    return statement_run(&s->c, st, err);
}

int store_meta_delete(struct store *s, const char *key, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_META_DELETE, "DELETE FROM meta WHERE key = ?1", &st, err);

    if (result < 0)
        return result;
    bind_text(st, 1, key);
    return statement_run(&s->c, st, err);
}

int store_meta_set_double(struct store *s, const char *key, double value, struct error *err)
{
    sqlite3_stmt *st;
    int result = meta_setting(s, key, &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_double(st, 2, value);
    return statement_run(&s->c, st, err);
}
