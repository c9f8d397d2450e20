#include "base/log.h"
#include "sim/cloud_internal.h"
#include "sim/pack.h"
#include "sim/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_VERSION 3 // what an unpacker finds in `version` tells which fields are there
#define TAGS_MAX 50

const struct kind_ops *kind_ops_of(enum kind kind)
{
    static const struct kind_ops *const all[KIND_COUNT] = {
        [KIND_INSTANCE] = &instance_kind,
        [KIND_LOAD_BALANCER] = &load_balancer_kind,
        [KIND_TARGET_POOL] = &target_pool_kind,
        [KIND_ADDRESS] = &address_kind,
        [KIND_ROUTE] = &route_kind,
        [KIND_ZONE] = &zone_kind,
        [KIND_INSTANCE_TYPE] = &instance_type_kind,
        [KIND_LATENCY] = &latency_kind,
        [KIND_PROJECT] = &project_kind,
        [KIND_FAULT] = &fault_kind,
        [KIND_CLUSTER] = &cluster_kind,
        [KIND_QUOTA] = &quota_kind,
        [KIND_SCENARIO] = &scenario_kind,
        [KIND_CHAOS] = &chaos_kind,
    };
    return all[kind];
}

bool resource_held(const struct resource *r)
{
    return r->held_by != NULL && r->held_by[0] != '\0';
}

// --- records and rows ---

static void pack_record(const struct resource *r, struct buffer *out)
{
    buffer_clear(out);
    pack_int(out, RECORD_VERSION);
    pack_string(out, r->project_name);
    pack_string(out, r->reason_code);
    pack_string(out, r->reason_message);
    pack_int(out, r->created_ns);
    pack_int(out, r->updated_ns);
    pack_int(out, (int64_t)r->tag_count);
    for (size_t i = 0; i < r->tag_count; i++) {
        pack_string(out, r->tags[i].key);
        pack_string(out, r->tags[i].value);
    }
    pack_string(out, r->held_by);
    kind_ops_of(r->kind)->pack(r, out);
}

static void unpack_tags(struct resource *r, struct unpacker *in, struct arena *arena)
{
    r->tag_count = unpack_count(in);
    if (r->tag_count > 0) {
        r->tags = arena_alloc(arena, r->tag_count * sizeof(*r->tags));
    }
    for (size_t i = 0; i < r->tag_count; i++) {
        r->tags[i].key = unpack_string(in);
        r->tags[i].value = unpack_string(in);
    }
}

struct resource *record_from_row(enum kind kind, const struct row *row, struct arena *arena,
                                 struct error *err)
{
    const struct kind_ops *ops = kind_ops_of(kind);
    struct resource *r = arena_alloc(arena, ops->size);
    struct unpacker in = {.at = row->record.data,
                          .end = (const unsigned char *)row->record.data + row->record.length};

    r->kind = kind;
    r->seq = row->seq;
    r->id = row->id;
    r->project = row->project;
    r->name = row->name;
    r->state = r->stored_state = row->state;
    r->transition_ns = r->stored_transition_ns = row->transition_ns;
    r->revision = row->revision;
    in.version = (int)unpack_int(&in);
    in.failed = in.version < 1 || in.version > RECORD_VERSION;
    r->project_name = unpack_string(&in);
    r->reason_code = unpack_string(&in);
    r->reason_message = unpack_string(&in);
    r->created_ns = unpack_int(&in);
    r->updated_ns = unpack_int(&in);
    unpack_tags(r, &in, arena);
    r->stored_tags = r->tags;
    r->held_by = in.version >= 2 ? unpack_string(&in) : NULL;
    r->stored_held = resource_held(r);
    ops->unpack(r, &in, arena);
    if (in.failed || in.at != in.end) {
        error_set(err, ERROR_INTERNAL, NULL, "the stored record of %s %s is damaged",
                  kind_name(kind), row->id);
        return NULL;
    }
    return r;
}

int txn_find(struct txn *t, enum kind kind, int64_t project, const char *id, struct resource **out,
             struct error *err)
{
    struct row row;
    int rc = store_get(t->store, kind, project, id, t->arena, &row, err);

    if (rc <= 0) {
        return rc;
    }
    *out = record_from_row(kind, &row, t->arena, err);
    return *out == NULL ? -ERROR_INTERNAL : 1;
}

int txn_load(struct txn *t, enum kind kind, int64_t project, const char *id, struct resource **out,
             struct error *err)
{
    int rc = txn_find(t, kind, project, id, out, err);

    if (rc == 0) {
        return error_set(err, ERROR_NOT_FOUND, NULL, "%s %s does not exist", kind_name(kind), id);
    }
    return rc < 0 ? rc : 0;
}

const char *txn_id(struct txn *t, const char *prefix)
{
    char *made = arena_alloc(t->arena, ID_MAX);

    id_make(made, prefix, t->cloud->seed, t->cloud->ledger.revision + 1);
    return made;
}

struct resource *txn_new(struct txn *t, enum kind kind, bool in_project, const char *id)
{
    const struct kind_ops *ops = kind_ops_of(kind);
    struct resource *r = arena_alloc(t->arena, ops->size);

    if (id == NULL) {
        id = txn_id(t, ops->id_prefix);
    }
    r->kind = kind;
    r->id = id;
    r->name = id;
    r->stored_state = -1;
    r->created_ns = t->now_ns;
    if (in_project) {
        r->project = t->project;
        r->project_name = t->project_name;
    }
    return r;
}

// --- the funnel ---

static int append(struct txn *t, struct event *event, struct error *err)
{
    struct ledger *ledger = &t->cloud->ledger;

    event->revision = ++ledger->revision;
    event->time_ns = t->now_ns;
    event->cause = t->cause;
    event->operation = t->operation;
    ledger->event_ns = t->now_ns;
    ledger->event_bytes += (int64_t)event->document.length;
    news_batch_add(&t->cloud->pending, event);
    return store_event_append(t->store, event, err);
}

int txn_event(struct txn *t, enum kind kind, const char *id, int64_t project,
              const char *project_name, enum event_type type, struct bytes document,
              struct error *err)
{
    struct event event = {.project = project,
                          .project_name = project_name,
                          .kind = kind,
                          .id = id,
                          .type = type,
                          .document = document};

    return append(t, &event, err);
}

static int resource_event(struct txn *t, const struct resource *r, int64_t previous,
                          enum event_type type, struct bytes document, struct error *err)
{
    struct event event = {.project = r->project,
                          .project_name = r->project_name,
                          .kind = r->kind,
                          .id = r->id,
                          .type = type,
                          .document = document,
                          .seq = r->seq,
                          .previous = previous};

    return append(t, &event, err);
}

static void log_change(const struct txn *t, const struct resource *r, enum event_type type)
{
    static const char *const verbs[] = {"created", "updated", "deleted", "fired"};
    const char *const *states = kind_ops_of(r->kind)->state_names;
    enum log_level level = LOG_DEBUG;
    const char *from = "", *to = "";
    char revision[24];

    if (states != NULL) {
        from = r->stored_state < 0 ? "none" : states[r->stored_state];
        to = states[r->state];
        level = r->stored_state != r->state || type == EVENT_DELETED ? LOG_INFO : LOG_DEBUG;
    }
    if (!log_enabled(level)) {
        return;
    }
    snprintf(revision, sizeof(revision), "%" PRId64, r->revision);
    log_line(level, verbs[type], "kind", kind_name(r->kind), "id", r->id, "name", r->name, "from",
             from, "to", to, "cause", t->operation == NULL ? "" : t->operation, "revision",
             revision, NULL);
}

// Gives the record the next revision and writes its document into the scratch buffer.
static int encode_document(struct txn *t, struct resource *r, struct bytes *out, struct error *err)
{
    struct buffer *document = &t->cloud->document;
    struct json_writer w;

    r->updated_ns = t->now_ns;
    r->revision = t->cloud->ledger.revision + 1;
    buffer_clear(document);
    jw_init(&w, document);
    kind_ops_of(r->kind)->encode(r, &w);
    if (document->failed) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    *out = (struct bytes){document->data, document->length};
    return 0;
}

static int put_row(struct txn *t, struct resource *r, struct bytes document, struct error *err)
{
    const struct kind_ops *ops = kind_ops_of(r->kind);
    struct buffer *record = &t->cloud->record;
    struct row row = {.seq = r->seq,
                      .id = r->id,
                      .project = r->project,
                      .name = r->name,
                      .state = r->state,
                      .transition_ns = r->transition_ns,
                      .revision = r->revision,
                      .document = document};

    pack_record(r, record);
    if (record->failed) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    row.record = (struct bytes){record->data, record->length};
    if (ops->columns != NULL) {
        ops->columns(r, row.columns);
    }
    int rc = store_put(t->store, r->kind, &row, err);
    r->seq = row.seq;
    return rc;
}

// What it points to, the rule that holds it among them: so the rule finds it when it goes.
static int put_references(struct txn *t, const struct resource *r, struct error *err)
{
    const struct kind_ops *ops = kind_ops_of(r->kind);
    const char **targets = NULL;
    size_t count = ops->references == NULL ? 0 : ops->references(r, t->arena, &targets);

    if (resource_held(r)) {
        const char **more = arena_alloc(t->arena, (count + 1) * sizeof(*more));
        if (count > 0) {
            memcpy(more, targets, count * sizeof(*more));
        }
        more[count++] = r->held_by;
        targets = more;
    }
    if (count == 0 && r->stored_state < 0) {
        return 0; // a new one without any
    }
    return store_references_set(t->store, r->kind, r->seq, targets, count, err);
}

static int put_links(struct txn *t, struct resource *r, bool is_new, struct error *err)
{
    const struct kind_ops *ops = kind_ops_of(r->kind);
    int rc = 0;

    if (r->tags != r->stored_tags) {
        rc = store_tags_set(t->store, r->kind, r->seq, r->tags, r->tag_count, err);
        r->stored_tags = r->tags;
    }
    bool refers = ops->references != NULL && (is_new || !ops->references_fixed);
    if (rc == 0 && (refers || resource_held(r) || r->stored_held)) {
        rc = put_references(t, r, err);
        r->stored_held = resource_held(r);
    }
    return rc;
}

// The deadline of a record was `before` and is `now`; 0: none.
static void note_due(struct ledger *ledger, int64_t before, int64_t now)
{
    if (before != 0 && before != now && before <= ledger->next_due_ns) {
        ledger->due_moved = true;
    }
    if (now != 0 && (ledger->next_due_ns == 0 || now < ledger->next_due_ns)) {
        ledger->next_due_ns = now;
    }
}

int txn_put(struct txn *t, struct resource *r, struct error *err)
{
    return txn_put_as(t, r, r->seq == 0 ? EVENT_CREATED : EVENT_UPDATED, err);
}

int txn_put_as(struct txn *t, struct resource *r, enum event_type type, struct error *err)
{
    bool is_new = r->seq == 0;
    int64_t previous = r->revision;
    struct bytes document;

    int rc = usage_note(t, r, false, err);
    rc = rc < 0 ? rc : encode_document(t, r, &document, err);
    if (rc == 0) {
        rc = put_row(t, r, document, err);
    }
    if (rc == 0) {
        rc = put_links(t, r, is_new, err);
    }
    if (rc == 0) {
        rc = resource_event(t, r, previous, type, document, err);
    }
    if (rc < 0) {
        return rc;
    }
    note_due(&t->cloud->ledger, r->stored_transition_ns, r->transition_ns);
    log_change(t, r, type);
    r->stored_state = r->state;
    r->stored_transition_ns = r->transition_ns;
    return 0;
}

int txn_delete(struct txn *t, struct resource *r, struct error *err)
{
    int64_t previous = r->revision;
    struct bytes document;

    int rc = usage_note(t, r, true, err);
    rc = rc < 0 ? rc : encode_document(t, r, &document, err);
    if (rc == 0) {
        rc = store_delete(t->store, r->kind, r->seq, err);
    }
    if (rc == 0) {
        rc = resource_event(t, r, previous, EVENT_DELETED, document, err);
    }
    if (rc == 0) {
        note_due(&t->cloud->ledger, r->stored_transition_ns, 0);
        log_change(t, r, EVENT_DELETED);
    }
    return rc;
}

// --- helpers of the kinds ---

int txn_name_free(struct txn *t, const struct resource *r, const char *name, uint32_t dead,
                  struct error *err)
{
    struct row row;

    if (t->cloud->duplicate_names[r->kind]) {
        return 0;
    }
    int rc = store_get_by_name(t->store, r->kind, r->project, name, dead, t->arena, &row, err);
    if (rc == 1 && row.seq != r->seq) {
        return error_set(err, ERROR_EXISTS, "name", "%s %s has the name %s already",
                         kind_name(r->kind), row.id, name);
    }
    return rc < 0 ? rc : 0;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct store_tag *)a)->key, ((const struct store_tag *)b)->key);
}

int resource_tags_patch(struct txn *t, struct resource *r, const struct tag_patch *patch,
                        size_t count, struct error *err)
{
    if (count == 0) {
        return 0;
    }
    struct store_tag *tags = arena_alloc(t->arena, (r->tag_count + count) * sizeof(*tags));
    size_t kept = 0;

    for (size_t i = 0; i < r->tag_count; i++) {
        bool patched = false;
        for (size_t p = 0; p < count && !patched; p++) {
            patched = strcmp(r->tags[i].key, patch[p].key) == 0;
        }
        if (!patched) {
            tags[kept++] = r->tags[i];
        }
    }
    for (size_t p = 0; p < count; p++) {
        if (patch[p].value != NULL) {
            tags[kept++] = (struct store_tag){patch[p].key, patch[p].value};
        }
    }
    if (kept > TAGS_MAX) {
        return error_set(err, ERROR_INVALID, "tags", "a resource has at most %d tags", TAGS_MAX);
    }
    qsort(tags, kept, sizeof(*tags), by_key);
    r->tags = tags;
    r->tag_count = kept;
    return 0;
}

void encode_head(const struct resource *r, struct json_writer *w)
{
    jw_field_string(w, "id", r->id);
    if (r->project_name != NULL) {
        jw_field_string(w, "project", r->project_name);
    }
    jw_field_string(w, "name", r->name);
}

void encode_state(const struct resource *r, struct json_writer *w)
{
    jw_field_string(w, "state", kind_ops_of(r->kind)->state_names[r->state]);
    if (r->reason_code != NULL) {
        jw_key(w, "state_reason");
        jw_object_begin(w);
        jw_field_string(w, "code", r->reason_code);
        jw_field_string(w, "message", r->reason_message == NULL ? "" : r->reason_message);
        jw_object_end(w);
    }
}

void encode_tail(const struct resource *r, struct json_writer *w)
{
    jw_key(w, "tags");
    jw_object_begin(w);
    for (size_t i = 0; i < r->tag_count; i++) {
        jw_field_string(w, r->tags[i].key, r->tags[i].value);
    }
    jw_object_end(w);
    jw_field_time(w, "created_at", r->created_ns);
    jw_field_time(w, "updated_at", r->updated_ns);
    if (r->transition_ns != 0) {
        jw_field_time(w, "transition_at", r->transition_ns);
    }
    jw_field_int(w, "revision", r->revision);
}
