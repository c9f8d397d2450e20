// The outbox: what is still to be done outside the process, at most one effect per owner.
#include "store/internal.h"

int store_outbox_put(struct store *s, const struct outbox_row *row, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_OUTBOX_PUT,
                               "INSERT OR REPLACE INTO outbox (owner, revision, action, payload)"
                               " VALUES (?1, ?2, ?3, ?4)",
                               &st, err);

    if (result < 0)
        return result;
    bind_text(st, 1, row->owner);
    sqlite3_bind_int64(st, 2, row->revision);
    sqlite3_bind_int(st, 3, row->action);
    bind_blob(st, 4, row->payload);
    return statement_run(&s->c, st, err);
}

int store_outbox_delete(struct store *s, const char *owner, struct error *err)
{
    sqlite3_stmt *st;
    int result =
        statement_get(&s->c, USE_OUTBOX_DELETE, "DELETE FROM outbox WHERE owner = ?1", &st, err);

    if (result < 0)
        return result;
    bind_text(st, 1, owner);
    return statement_run(&s->c, st, err);
}

int store_outbox_get(struct store *s, const char *owner, int64_t *out_revision, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_OUTBOX_GET,
                               "SELECT revision FROM outbox WHERE owner = ?1", &st, err);

    if (result < 0)
        return result;
    bind_text(st, 1, owner);
    result = statement_step(&s->c, st, err);
    if (result != 1)
        return result;
    *out_revision = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 1;
}

int store_outbox_each(struct store *s,
                      int (*each)(void *context, const struct outbox_row *row, struct error *err),
                      void *context, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_OUTBOX_EACH,
                               "SELECT owner, revision, action, payload FROM outbox"
                               " ORDER BY revision, owner",
                               &st, err);

    if (result < 0)
        return result;
    while ((result = statement_step(&s->c, st, err)) == 1) {
        struct outbox_row row = {.owner = column_text(st, 0),
                                 .revision = sqlite3_column_int64(st, 1),
                                 .action = sqlite3_column_int(st, 2),
                                 .payload = column_blob(st, 3)};

        result = each(context, &row, err);
        if (result < 0) {
            sqlite3_reset(st);
            return result;
        }
    }
    return result;
}
