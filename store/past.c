#include "store/past.h"

#include "store/internal.h"
#include "store/list.h"

#include <stdlib.h>
#include <string.h>

// --- from the view to revisions ---

struct horizon {
    int64_t trimmed;                // events up to this one are gone
    int64_t then[PAST_MOMENTS_MAX]; // the revisions that the view is as of, one at least
    size_t count;
    size_t first;  // the smallest of them
    int64_t born;  // what was made after it is young
    int64_t floor; // the smallest of all: what has not changed since is seen as it is
};

static int event_time(struct reader *r, int64_t revision, int64_t *out, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&r->c, USE_PAST_TIME,
                               "SELECT time FROM event WHERE revision <= ?1"
                               " ORDER BY revision DESC LIMIT 1",
                               &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, revision);
    result = statement_step(&r->c, st, err);
    if (result < 0)
        return result;
    *out = result == 1 ? sqlite3_column_int64(st, 0) : INT64_MIN;
    sqlite3_reset(st);
    return 0;
}

// The last revision of this time or before; times follow revisions. 0 ns: the newest.
static int revision_at(struct reader *r, int64_t ns, int64_t trimmed, int64_t newest, int64_t *out,
                       struct error *err)
{
    int64_t low = trimmed, high = newest;

    while (ns != 0 && low < high) {
        int64_t middle = low + (high - low + 1) / 2, time = 0;
        int result = event_time(r, middle, &time, err);

        if (result < 0)
            return result;
        if (time <= ns)
            low = middle;
        else
            high = middle - 1;
    }
    *out = high;
    return 0;
}

// The revision before the last `back` changes of resources. Firings of fault rules and the like
// have revisions too, but are no changes that a reader could miss.
static int revision_back(struct reader *r, int64_t project, int64_t back, int64_t newest,
                         int64_t *out, struct error *err)
{
    sqlite3_stmt *st;
    int result;

    *out = newest;
    if (back == 0)
        return 0;
    result = statement_get(&r->c, USE_PAST_BACK,
                           "SELECT revision - 1 FROM event WHERE kind < ?1"
                           " AND (?2 = 0 OR project IN (0, ?2))"
                           " ORDER BY revision DESC LIMIT 1 OFFSET ?3",
                           &st, err);
    if (result < 0)
        return result;
    sqlite3_bind_int(st, 1, KIND_CLOCK);
    sqlite3_bind_int64(st, 2, project);
    sqlite3_bind_int64(st, 3, back - 1);
    result = statement_step(&r->c, st, err);
    if (result < 0)
        return result;
    *out = result == 1 ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return 0;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int find_moment(struct reader *r, int64_t project, const struct past_moment *moment,
                       int64_t trimmed, int64_t newest, int64_t *out, struct error *err)
{
    int64_t by_time = 0, by_count = 0;
    int result = revision_at(r, moment->as_of_ns, trimmed, newest, &by_time, err);

    if (result == 0)
        result = revision_back(r, project, moment->back, newest, &by_count, err);
    if (result < 0)
        return result;
    *out = smaller(by_time, by_count < trimmed ? trimmed : by_count);
    return 0;
}

static int find_horizon(struct reader *r, int64_t project, const struct past_view *view,
                        struct horizon *out, struct error *err)
{
    int64_t newest = 0;
    int result = reader_trimmed(r, &out->trimmed, err);

    if (result == 0)
        result = reader_newest_revision(r, &newest, err);
    if (result == 0)
        result = revision_at(r, view->born_by_ns, out->trimmed, newest, &out->born, err);
    out->count = view->moment_count ? view->moment_count : 1;
    out->then[0] = newest;
    out->first = 0;
    for (size_t i = 0; result == 0 && i < view->moment_count; i++) {
        result =
            find_moment(r, project, &view->moments[i], out->trimmed, newest, &out->then[i], err);
        if (result == 0 && out->then[i] < out->then[out->first])
            out->first = i;
    }
    out->floor = smaller(out->then[out->first], out->born);
    return result;
}

// --- what has changed since ---

struct changed { // a resource; while they are gathered, one event of it
    const char *id;
    int64_t seq, revision, previous;
    enum event_type type;
    int64_t *then; // revisions, one for each of the horizon's; 0: not there
    int64_t now;   // the same
};

struct changes {
    struct arena arena;
    struct changed *items;
    size_t count, capacity;
};

static void changes_init(struct changes *c)
{
    *c = (struct changes){0};
    arena_init(&c->arena);
}

static void changes_fini(struct changes *c)
{
    free(c->items);
    arena_fini(&c->arena);
}

static int add(struct changes *c, sqlite3_stmt *st, struct error *err)
{
    if (c->count == c->capacity) {
        size_t capacity = c->capacity * 2 + 16;
        struct changed *items = realloc(c->items, capacity * sizeof(*items));

        if (!items)
            return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
        c->items = items;
        c->capacity = capacity;
    }
    c->items[c->count] = (struct changed){
        .revision = sqlite3_column_int64(st, 0),
        .type = (enum event_type)sqlite3_column_int(st, 1),
        .id = arena_strdup(&c->arena, column_text(st, 2)),
        .seq = sqlite3_column_int64(st, 3),
        .previous = sqlite3_column_int64(st, 4),
    };
    if (c->items[c->count].seq == 0) // written before events knew it
        c->items[c->count].seq = c->items[c->count].revision;
    c->count++;
    return 0;
}

// Events after `floor` of the kind; `id` NULL: of any resource.
static int gather(struct reader *r, enum kind kind, int64_t project, const char *id, int64_t floor,
                  struct changes *out, struct error *err)
{
#define CHANGES                                                               \
    "SELECT revision, type, id, seq, previous FROM event WHERE revision > ?1" \
    " AND kind = ?2 AND (?3 = 0 OR project = ?3)"
    sqlite3_stmt *st;
    int result = id ? statement_get(&r->c, USE_PAST_CHANGES_OF_ID, CHANGES " AND id = ?4", &st, err)
                    : statement_get(&r->c, USE_PAST_CHANGES, CHANGES, &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, floor);
    sqlite3_bind_int(st, 2, (int)kind);
    sqlite3_bind_int64(st, 3, project);
    if (id)
        bind_text(st, 4, id);
    while ((result = statement_step(&r->c, st, err)) == 1) {
        result = add(out, st, err);
        if (result < 0) {
            sqlite3_reset(st);
            break;
        }
    }
    return result;
}

// Unlike qsort, takes no items at all.
static void sort(struct changes *c, int (*compare)(const void *a, const void *b))
{
    if (c->count > 0)
        qsort(c->items, c->count, sizeof(*c->items), compare);
}

static int by_id_and_revision(const void *a, const void *b)
{
    const struct changed *x = a, *y = b;
    int order = strcmp(x->id, y->id);

    return order ? order : (x->revision > y->revision) - (x->revision < y->revision);
}

static int by_seq(const void *a, const void *b)
{
    const struct changed *x = a, *y = b;

    return (x->seq > y->seq) - (x->seq < y->seq);
}

// What was there before the first event of a resource after the horizon.
static int64_t before(const struct changed *first, int64_t trimmed)
{
    if (first->type == EVENT_CREATED)
        return 0;
    return first->previous > trimmed ? first->previous : first->revision;
}

static void note_then(struct changed *event, const struct horizon *horizon, bool is_first)
{
    for (size_t i = 0; i < horizon->count; i++) {
        if (event->revision <= horizon->then[i])
            event->then[i] = event->now;
        else if (is_first)
            event->then[i] = before(event, horizon->trimmed);
    }
}

// Makes one of all events of each resource.
static void fold(struct changes *c, const struct horizon *horizon)
{
    size_t kept = 0;

    sort(c, by_id_and_revision);
    for (size_t i = 0; i < c->count; i++) {
        struct changed event = c->items[i];
        bool is_first = kept == 0 || strcmp(c->items[kept - 1].id, event.id) != 0;
        struct changed *item = &c->items[is_first ? kept++ : kept - 1];

        event.now = event.type == EVENT_DELETED ? 0 : event.revision;
        event.then =
            is_first ? arena_alloc(&c->arena, horizon->count * sizeof(*event.then)) : item->then;
        note_then(&event, horizon, is_first);
        if (event.revision > horizon->then[horizon->first] && !is_first &&
            event.then[horizon->first])
            event.seq = item->seq; // of a name that was used again later: where it was then
        *item = event;
    }
    c->count = kept;
}

// --- choosing ---

static int document_at(struct reader *r, enum statement_use use, int64_t revision,
                       sqlite3_stmt **out_held, struct bytes *out, struct error *err)
{
    int result;

    *out_held = NULL;
    *out = (struct bytes){0};
    if (revision == 0)
        return 0;
    result =
        statement_get(&r->c, use, "SELECT document FROM event WHERE revision = ?1", out_held, err);
    if (result < 0)
        return result;
    sqlite3_bind_int64(*out_held, 1, revision);
    result = statement_step(&r->c, *out_held, err);
    if (result == 1)
        *out = column_blob(*out_held, 0);
    return result < 0 ? result : 0;
}

// Appends what is to be seen of it: 1, 0 nothing, or negative.
static int put_choice(struct reader *r, const struct past_view *view, const struct horizon *horizon,
                      const struct changed *item, const char *separator, struct buffer *out,
                      int64_t *out_revision, struct error *err)
{
    struct past past = {.id = item->id, .revision_now = item->now, .made_ns = INT64_MIN};
    sqlite3_stmt *then = NULL, *now;
    enum past_choice choice = PAST_NEITHER;
    int result = document_at(r, USE_PAST_NOW, item->now, &now, &past.now, err);

    if (result == 0 && view->moment)
        past.moment = view->moment(view->context, item->id, past.now);
    if (result == 0 && past.moment < horizon->count) {
        past.revision_then = item->then[past.moment];
        result = document_at(r, USE_PAST_THEN, past.revision_then, &then, &past.then, err);
    }
    if (result == 0 && item->seq > horizon->born)
        result = event_time(r, item->seq, &past.made_ns, err);
    if (result == 0)
        choice = view->choose(view->context, &past);
    if (choice != PAST_NEITHER) {
        struct bytes document = choice == PAST_THEN ? past.then : past.now;

        if (document.data) {
            buffer_append_string(out, separator);
            buffer_append(out, document.data, document.length);
            *out_revision = choice == PAST_THEN ? past.revision_then : item->now;
            result = 1;
        }
    }
    sqlite3_reset(then);
    sqlite3_reset(now);
    return result;
}

// --- one document ---

static int past_document(struct reader *r, enum kind kind, int64_t project, const char *id,
                         const struct past_view *view, struct buffer *out, int64_t *out_revision,
                         struct error *err)
{
    struct changes changes;
    struct horizon horizon;
    int result = find_horizon(r, project, view, &horizon, err);

    if (result < 0)
        return result;
    changes_init(&changes);
    result = gather(r, kind, project, id, horizon.floor, &changes, err);
    if (result == 0) {
        fold(&changes, &horizon);
        result = changes.count == 0
                     ? reader_document(r, kind, project, id, out, out_revision, err)
                     : put_choice(r, view, &horizon, changes.items, "", out, out_revision, err);
    }
    changes_fini(&changes);
    return result;
}

int reader_past_document(struct reader *r, enum kind kind, int64_t project, const char *id,
                         const struct past_view *view, struct buffer *out, int64_t *out_revision,
                         struct error *err)
{
    int result = reader_snapshot_begin(r, err);

    if (result < 0)
        return result;
    result = past_document(r, kind, project, id, view, out, out_revision, err);
    reader_snapshot_end(r);
    if (result >= 0 && out->failed)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    return result;
}

// --- lists: unchanged rows and what has changed, merged in list order ---

struct merge {
    struct reader *reader;
    const struct list_query *query;
    const struct past_view *view;
    const struct horizon *horizon;
    const struct changes *changes;
    size_t next;        // of the changes
    sqlite3_stmt *rows; // NULL: there are no more
    struct buffer *out;
    size_t start;
    size_t count;
    int64_t last_seq;
    bool more;
};

static int next_row(struct merge *m, struct error *err)
{
    int result = m->rows ? statement_step(&m->reader->c, m->rows, err) : 0;

    if (result != 1)
        m->rows = NULL;
    return result < 0 ? result : 0;
}

static bool page_full(const struct merge *m)
{
    size_t length = m->out->length - m->start;

    return m->count == (size_t)m->query->limit ||
           (m->query->max_bytes && m->count && length >= m->query->max_bytes);
}

static int put_row(struct merge *m, struct error *err)
{
    struct bytes document = column_blob(m->rows, 1);

    buffer_append_string(m->out, m->count++ ? "," : "");
    buffer_append(m->out, document.data, document.length);
    m->last_seq = sqlite3_column_int64(m->rows, 0);
    return next_row(m, err);
}

static int put_changed(struct merge *m, struct error *err)
{
    const struct changed *item = &m->changes->items[m->next++];
    size_t before_it = m->out->length;
    bool full = page_full(m);
    int64_t ignored;
    int result = put_choice(m->reader, m->view, m->horizon, item, m->count ? "," : "", m->out,
                            &ignored, err);

    if (result != 1)
        return result;
    if (full) {
        m->out->length = before_it;
        m->more = true;
        return 0;
    }
    m->count++;
    m->last_seq = item->seq;
    return 0;
}

static int merge(struct merge *m, struct error *err)
{
    int result = next_row(m, err);

    while (result == 0 && !m->more && (m->rows || m->next < m->changes->count)) {
        bool row = m->next == m->changes->count ||
                   (m->rows && sqlite3_column_int64(m->rows, 0) < m->changes->items[m->next].seq);

        if (!row)
            result = put_changed(m, err);
        else if (page_full(m))
            m->more = true;
        else
            result = put_row(m, err);
    }
    return result;
}

static int list_changes(struct reader *r, const struct list_query *query,
                        const struct past_view *view, struct horizon *horizon,
                        struct changes *changes, struct error *err)
{
    int result = find_horizon(r, query->project, view, horizon, err);

    if (result == 0)
        result = gather(r, query->kind, query->project, NULL, horizon->floor, changes, err);
    if (result < 0)
        return result;
    fold(changes, horizon);
    sort(changes, by_seq);
    return 0;
}

static int past_list(struct merge *m, struct horizon *horizon, struct changes *changes,
                     struct error *err)
{
    struct list_query unchanged = *m->query;
    sqlite3_stmt *rows = NULL;
    int result = list_changes(m->reader, m->query, m->view, horizon, changes, err);

    if (result < 0)
        return result;
    unchanged.unchanged_since = horizon->floor;
    if (horizon->floor > 0) // at 0 there was nothing
        result = list_statement(&m->reader->c, &unchanged, &rows, err);
    if (result < 0)
        return result;
    m->rows = rows;
    while (m->next < changes->count && changes->items[m->next].seq <= m->query->after_seq)
        m->next++;
    result = merge(m, err);
    sqlite3_reset(rows);
    return result;
}

int reader_past_list(struct reader *r, const struct list_query *query, const struct past_view *view,
                     struct buffer *out, size_t *out_count, int64_t *out_next_seq,
                     int64_t *out_revision, struct error *err)
{
    struct changes changes;
    struct horizon horizon;
    struct merge m = {.reader = r,
                      .query = query,
                      .view = view,
                      .horizon = &horizon,
                      .changes = &changes,
                      .out = out,
                      .start = out->length};
    int result = reader_snapshot_begin(r, err);

    if (result < 0)
        return result;
    changes_init(&changes);
    result = past_list(&m, &horizon, &changes, err);
    changes_fini(&changes);
    reader_snapshot_end(r);
    if (result == 0 && out->failed)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    if (result < 0) {
        out->length = out->failed ? out->length : m.start;
        return result;
    }
    *out_count = m.count;
    *out_next_seq = m.more ? m.last_seq : 0;
    *out_revision = horizon.then[horizon.first];
    return 0;
}
