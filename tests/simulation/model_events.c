// Events: fetched, and held against what the model says must have happened.
#include "base/timefmt.h"
#include "sim/names.h"
#include "tests/simulation/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void violated(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("violated: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

// --- fetching ---

static int append(void *context, const struct event *event, struct bytes envelope)
{
    struct model *m = context;
    struct happening *h;

    if (m->happening_count == m->happening_capacity) {
        m->happening_capacity = m->happening_capacity ? 2 * m->happening_capacity : 256;
        m->happenings = realloc(m->happenings, m->happening_capacity * sizeof(*m->happenings));
        if (!m->happenings)
            abort();
    }
    h = &m->happenings[m->happening_count++];
    h->revision = event->revision;
    h->length = envelope.length;
    h->envelope = malloc(envelope.length + 1);
    if (!h->envelope)
        abort();
    memcpy(h->envelope, envelope.data, envelope.length);
    h->envelope[h->length] = '\0';
    return 0;
}

void model_fetch(struct model *m, struct cloud *cloud)
{
    struct event_query query = {.since = m->revision, .kind = -1, .limit = 1000000};
    struct error err = {0};
    int64_t revision = 0;

    for (size_t i = 0; i < m->happening_count; i++)
        free(m->happenings[i].envelope);
    m->happening_count = m->at = 0;
    if (cloud_events(cloud, &query, append, m, &revision, &err) < 0)
        violated("the events after %" PRId64 " cannot be read: %s", m->revision, err.message);
    if (revision != m->revision + (int64_t)m->happening_count)
        violated("%zu events between the revisions %" PRId64 " and %" PRId64, m->happening_count,
                 m->revision, revision);
}

void model_all_accounted(const struct model *m)
{
    if (m->at < m->happening_count)
        violated("an event that nothing accounts for: %s", m->happenings[m->at].envelope);
}

// --- the fields of a document ---

void must_be(const struct thing *x, json_t *document, const char *key, const char *value)
{
    const char *is = json_string_value(json_object_get(document, key));

    if (is ? !value || strcmp(is, value) != 0 : value != NULL)
        violated("%s %s at revision %" PRId64 ": %s is %s, must be %s", kind_name(x->kind), x->id,
                 x->revision, key, is ? is : "absent", value ? value : "absent");
}

void must_be_int(const struct thing *x, json_t *document, const char *key, int64_t value)
{
    json_t *is = json_object_get(document, key);

    if (!json_is_integer(is) || json_integer_value(is) != value)
        violated("%s %s at revision %" PRId64 ": %s is %lld, must be %" PRId64, kind_name(x->kind),
                 x->id, x->revision, key, (long long)json_integer_value(is), value);
}

void must_be_time(const struct thing *x, json_t *document, const char *key, int64_t ns)
{
    char text[TIME_TEXT_MAX];

    time_format(ns, text);
    must_be(x, document, key, ns ? text : NULL);
}

static void check_tags(const struct thing *x, json_t *document)
{
    json_t *tags = json_object_get(document, "tags");
    size_t count = 0;

    for (int i = 0; i < TAG_KEYS; i++) {
        must_be(x, tags, tag_keys[i], x->tags[i]);
        count += x->tags[i] != NULL;
    }
    if (json_object_size(tags) != count)
        violated("%s has %zu tags, must have %zu", x->id, json_object_size(tags), count);
}

static const char *state_name(const struct thing *x)
{
    static const char *const zone_states[] = {"available", "unavailable"};

    switch (x->kind) {
    case KIND_INSTANCE:
        return instance_state_names[x->state];
    case KIND_LOAD_BALANCER:
        return load_balancer_state_names[x->state];
    case KIND_ROUTE:
        return route_state_names[x->state];
    case KIND_ZONE:
        return zone_states[x->state];
    default:
        return NULL;
    }
}

static void check_document(const struct model *m, struct thing *x, json_t *document)
{
    must_be_int(x, document, "revision", x->revision);
    if (x->kind != KIND_LATENCY && x->kind != KIND_QUOTA)
        must_be(x, document, "name", x->name);
    if (x->kind != KIND_CLOCK && state_name(x))
        must_be(x, document, "state", state_name(x));
    if (x->kind <= KIND_ROUTE) {
        must_be(x, document, "id", x->id);
        must_be(x, document, "project", x->project_name);
        must_be_time(x, document, "created_at", x->created);
        must_be_time(x, document, "updated_at", m->now);
        must_be_time(x, document, "transition_at", x->due);
        check_tags(x, document);
    }
    if (x->kind == KIND_INSTANCE)
        model_check_instance(x, document);
    else if (x->kind == KIND_ROUTE)
        model_check_route(x, document);
    else if (x->kind == KIND_TARGET_POOL)
        model_check_pool(x, document);
    else if (x->kind == KIND_LOAD_BALANCER)
        model_check_balancer(x, document);
    else if (x->kind == KIND_ADDRESS)
        model_check_address(x, document);
    else
        model_check_catalogue(x, document);
}

// --- the events that must come ---

uint64_t model_hash(const char *bytes, size_t length)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); // FNV-1a

    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return h;
}

static void note(struct model *m, const struct happening *h)
{
    uint64_t one = model_hash(h->envelope, h->length);

    m->hashes[h->revision % HASHES] = one;
    m->digest = m->digest * UINT64_C(0x9e3779b97f4a7c15) + one;
}

static void check_envelope(const struct model *m, const struct thing *x, const char *type,
                           json_t *event)
{
    json_t *cause = json_object_get(event, "cause");

    must_be(x, event, "kind", kind_name(x->kind));
    must_be(x, event, "id", x->id);
    must_be(x, event, "type", type);
    must_be(x, event, "project", x->project_name[0] ? x->project_name : NULL);
    must_be_time(x, event, "time", m->now);
    must_be(x, cause, "type", m->cause);
    must_be(x, cause, "operation", m->operation);
}

static json_t *next(struct model *m, struct thing *x, const char *type, struct happening **out)
{
    struct happening *h = &m->happenings[m->at];
    json_t *event;

    if (m->at == m->happening_count)
        violated("%s %s must have been %s at revision %" PRId64 " by %s, but there is no event",
                 kind_name(x->kind), x->id, type, m->revision + 1,
                 m->operation ? m->operation : m->cause);
    m->at++;
    x->revision = ++m->revision;
    if (h->revision != m->revision)
        violated("revision %" PRId64 " follows %" PRId64, h->revision, m->revision - 1);
    event = json_loadb(h->envelope, h->length, JSON_REJECT_DUPLICATES, NULL);
    if (!event)
        violated("not JSON: %s", h->envelope);
    check_envelope(m, x, type, event);
    note(m, h);
    *out = h;
    return event;
}

static void keep_document(struct thing *x, const struct happening *h)
{
    static const char before[] = ",\"document\":";
    const char *at = strstr(h->envelope, before);

    if (!at)
        violated("no document: %s", h->envelope);
    at += sizeof(before) - 1;
    free(x->document);
    x->length = h->length - (size_t)(at - h->envelope) - 1; // without the closing brace
    x->document = malloc(x->length);
    if (!x->document)
        abort();
    memcpy(x->document, at, x->length);
}

static void join(struct model *m, struct thing *x)
{
    struct things *all = &m->things[x->kind];

    if (all->count == all->capacity) {
        all->capacity = all->capacity ? 2 * all->capacity : 64;
        all->items = realloc(all->items, all->capacity * sizeof(struct thing *));
        if (!all->items)
            abort();
    }
    all->items[all->count++] = x;
    x->seq = x->revision;
}

void model_written(struct model *m, struct thing *x)
{
    struct happening *h;
    json_t *event = next(m, x, x->seq ? "updated" : "created", &h);

    check_document(m, x, json_object_get(event, "document"));
    keep_document(x, h);
    json_decref(event);
    if (x->seq == 0)
        join(m, x);
}

void model_deleted(struct model *m, struct thing *x)
{
    struct things *all = &m->things[x->kind];
    struct happening *h;
    json_t *event = next(m, x, "deleted", &h);

    check_document(m, x, json_object_get(event, "document"));
    json_decref(event);
    for (size_t i = 0; i < all->count; i++) {
        if (all->items[i] == x) {
            all->count--;
            memmove(&all->items[i], &all->items[i + 1], (all->count - i) * sizeof(struct thing *));
            break;
        }
    }
    model_drop(x);
}

void model_clock_event(struct model *m, const char *operation)
{
    struct thing clock = {.kind = KIND_CLOCK, .id = "clock"};
    struct happening *h;
    json_t *event;

    m->cause = "api";
    m->operation = operation;
    event = next(m, &clock, "updated", &h);
    must_be_time(&clock, json_object_get(event, "document"), "now", m->now);
    json_decref(event);
}
