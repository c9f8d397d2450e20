#include "store/internal.h"
#include "store/kinds.h"
#include "store/list.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int reader_open(struct store *s, struct reader **out, struct error *err)
{
    struct reader *r = calloc(1, sizeof(*r));
    int result;

    if (!r)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    result = connection_open(&r->c, s->path, CONNECTION_READER, err);
    if (result < 0) {
        free(r);
        return result;
    }
    *out = r;
    return 0;
}

void reader_close(struct reader *r)
{
    if (!r)
        return;
    for (int i = 0; i < KIND_COUNT; i++)
        sqlite3_finalize(r->documents[i]);
    connection_close(&r->c);
    free(r);
}

// --- one document ---

static int prepare_document(struct reader *r, enum kind kind, struct error *err)
{
    char sql[128];
    int rc;

    snprintf(sql, sizeof(sql), "SELECT document, revision, project FROM %s WHERE id = ?1",
             kind_name(kind));
    rc = sqlite3_prepare_v3(r->c.db, sql, -1, SQLITE_PREPARE_PERSISTENT, &r->documents[kind], NULL);
    return rc == SQLITE_OK ? 0 : connection_error(&r->c, rc, err);
}

int reader_document(struct reader *r, enum kind kind, int64_t project, const char *id,
                    struct buffer *out, int64_t *out_revision, struct error *err)
{
    sqlite3_stmt *st = r->documents[kind];
    struct bytes document;
    int result = 0;

    assert(kind_info(kind)->has_table);
    if (!st)
        result = prepare_document(r, kind, err);
    if (result < 0)
        return result;
    st = r->documents[kind];
    bind_text(st, 1, id);
    result = statement_step(&r->c, st, err);
    if (result != 1)
        return result;
    if (project == 0 || sqlite3_column_int64(st, 2) == project) {
        document = column_blob(st, 0);
        buffer_append(out, document.data, document.length);
        *out_revision = sqlite3_column_int64(st, 1);
    } else {
        result = 0;
    }
    sqlite3_reset(st);
    if (out->failed)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    return result;
}

// --- snapshots: several statements that see the same state ---

static int run(struct reader *r, enum statement_use use, const char *sql, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&r->c, use, sql, &st, err);

    return result < 0 ? result : statement_run(&r->c, st, err);
}

bool reader_in_snapshot(const struct reader *r)
{
    return !sqlite3_get_autocommit(r->c.db);
}

int reader_begin(struct reader *r, struct error *err)
{
    return run(r, USE_BEGIN, "BEGIN", err);
}

void reader_end(struct reader *r)
{
    if (reader_in_snapshot(r))
        run(r, USE_COMMIT, "COMMIT", NULL);
}

int reader_snapshot_begin(struct reader *r, struct error *err)
{
    r->nested = reader_in_snapshot(r);
    return r->nested ? 0 : reader_begin(r, err);
}

void reader_snapshot_end(struct reader *r)
{
    if (!r->nested)
        reader_end(r);
}

// The first column of the first row; 0 when there is none.
static int one_int(struct reader *r, enum statement_use use, const char *sql, int64_t *out,
                   struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&r->c, use, sql, &st, err);

    if (result == 0)
        result = statement_step(&r->c, st, err);
    if (result < 0)
        return result;
    *out = result == 1 ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return 0;
}

int reader_newest_revision(struct reader *r, int64_t *out, struct error *err)
{
    return one_int(r, USE_EVENT_NEWEST, "SELECT revision FROM event ORDER BY revision DESC LIMIT 1",
                   out, err);
}

// --- lists ---

struct page {
    size_t count;
    int64_t last_seq;
    bool more;
};

static int read_page(struct reader *r, const struct list_query *query, struct buffer *out,
                     struct page *page, struct error *err)
{
    size_t start = out->length;
    sqlite3_stmt *st;
    int result = list_statement(&r->c, query, &st, err);

    if (result < 0)
        return result;
    while ((result = statement_step(&r->c, st, err)) == 1) {
        struct bytes document;
        if (page->count == (size_t)query->limit ||
            (query->max_bytes && page->count && out->length - start >= query->max_bytes)) {
            page->more = true;
            sqlite3_reset(st);
            break;
        }
        document = column_blob(st, 1);
        if (page->count++)
            buffer_append(out, ",", 1);
        buffer_append(out, document.data, document.length);
        page->last_seq = sqlite3_column_int64(st, 0);
    }
    if (result >= 0 && out->failed)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    return result < 0 ? result : 0;
}

int reader_list(struct reader *r, const struct list_query *query, struct buffer *out,
                size_t *out_count, int64_t *out_next_seq, int64_t *out_revision, struct error *err)
{
    size_t start = out->length;
    struct page page = {0};
    int64_t revision = 0;
    int result = reader_snapshot_begin(r, err);

    if (result < 0)
        return result;
    result = reader_newest_revision(r, &revision, err);
    if (result == 0)
        result = read_page(r, query, out, &page, err);
    reader_snapshot_end(r);
    if (result < 0) {
        if (!out->failed)
            out->length = start;
        return result;
    }
    *out_count = page.count;
    *out_next_seq = page.more ? page.last_seq : 0;
    *out_revision = revision;
    return 0;
}

// --- events ---

enum { EVENT_ALL, EVENT_OF_KIND = 1, EVENT_OF_PROJECT = 2 };

static const char *const event_sql[] = {
#define EVENT_SELECT                                                                           \
    "SELECT revision, kind, project, time, type, cause, id, project_name, operation, document" \
    " FROM event WHERE revision > ?1"
#define EVENT_ORDER " ORDER BY revision LIMIT ?2"
    [EVENT_ALL] = EVENT_SELECT EVENT_ORDER,
    [EVENT_OF_KIND] = EVENT_SELECT " AND kind = ?3" EVENT_ORDER,
    [EVENT_OF_PROJECT] = EVENT_SELECT " AND project IN (0, ?4) AND kind <> ?5" EVENT_ORDER,
    [EVENT_OF_KIND | EVENT_OF_PROJECT] =
        EVENT_SELECT " AND kind = ?3 AND project IN (0, ?4) AND kind <> ?5" EVENT_ORDER,
};

static struct event read_event(sqlite3_stmt *st)
{
    return (struct event){
        .revision = sqlite3_column_int64(st, 0),
        .kind = (enum kind)sqlite3_column_int(st, 1),
        .project = sqlite3_column_int64(st, 2),
        .time_ns = sqlite3_column_int64(st, 3),
        .type = (enum event_type)sqlite3_column_int(st, 4),
        .cause = (enum cause_type)sqlite3_column_int(st, 5),
        .id = column_text(st, 6),
        .project_name = column_text(st, 7),
        .operation = column_text(st, 8),
        .document = column_blob(st, 9),
    };
}

static int each_event(struct reader *r, const struct event_query *query,
                      int (*each)(void *context, const struct event *event), void *context,
                      struct error *err)
{
    unsigned shape =
        (query->kind >= 0 ? EVENT_OF_KIND : 0U) | (query->project ? EVENT_OF_PROJECT : 0U);
    uint64_t key = statement_key(USE_EVENTS, KIND_INSTANCE, shape);
    sqlite3_stmt *st = statement_find(&r->c, key);
    int result = st ? 0 : statement_add(&r->c, key, event_sql[shape], &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, query->since);
    sqlite3_bind_int(st, 2, query->limit);
    sqlite3_bind_int(st, 3, query->kind);
    sqlite3_bind_int64(st, 4, query->project);
    sqlite3_bind_int(st, 5, query->tenant ? KIND_PROJECT : -1);
    while ((result = statement_step(&r->c, st, err)) == 1) {
        struct event event = read_event(st);
        result = each(context, &event);
        if (result < 0) {
            sqlite3_reset(st);
            return result;
        }
    }
    return result;
}

int reader_trimmed(struct reader *r, int64_t *out, struct error *err)
{
    return one_int(r, USE_META_GET, "SELECT value FROM meta WHERE key = '" STORE_TRIMMED_KEY "'",
                   out, err);
}

static int check_compacted(struct reader *r, int64_t since, struct error *err)
{
    int64_t trimmed = 0;
    int result = reader_trimmed(r, &trimmed, err);

    if (result == 0 && since < trimmed)
        result = error_set(err, ERROR_COMPACTED, "since",
                           "events up to revision %lld are gone, those after %lld were asked for",
                           (long long)trimmed, (long long)since);
    return result;
}

int reader_events(struct reader *r, const struct event_query *query,
                  int (*each)(void *context, const struct event *event), void *context,
                  int64_t *out_revision, struct error *err)
{
    int64_t revision = 0;
    int result = reader_snapshot_begin(r, err);

    if (result < 0)
        return result;
    result = check_compacted(r, query->since, err);
    if (result == 0)
        result = reader_newest_revision(r, &revision, err);
    if (result == 0)
        result = each_event(r, query, each, context, err);
    reader_snapshot_end(r);
    if (result == 0)
        *out_revision = revision;
    return result;
}
