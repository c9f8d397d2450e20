#include "api/faulty_reads.h"

#include "api/documents.h"
#include "api/endpoint.h"
#include "api/injection.h"
#include "api/json_in.h"
#include "api/wrong_answers.h"

#include <string.h>

_Static_assert(PAST_MOMENTS_MAX >= FAULT_FIRED_MAX,
               "each rule may look back to a moment of its own");

bool faulty_begin(struct faulty_read *f, struct request *r, int64_t project,
                  const struct query *query)
{
    if (!r->injection)
        return false;
    *f = (struct faulty_read){.request = r,
                              .verdict = &r->injection->verdict,
                              .kind = r->endpoint->kind,
                              .project = project,
                              .query = query};
    for (size_t i = 0; i < f->verdict->count; i++)
        if (fault_place_of(f->verdict->fired[i].fault->effect.type) == FAULT_AT_READ)
            return true;
    return false;
}

// --- what has changed: as it was, as it is, or not at all ---

// The first rule of this effect from the n-th on that has fired; NULL: there is none.
static const struct fault *next_rule(const struct faulty_read *f, enum fault_effect_type type,
                                     size_t *n)
{
    while (*n < f->verdict->count) {
        const struct fault *fault = f->verdict->fired[(*n)++].fault;
        if (fault->effect.type == type)
            return fault;
    }
    return NULL;
}

static struct fault_target target_of(struct faulty_read *f, const char *id, const json_t *now)
{
    struct fault_target target = {.kind = (int)f->kind, .id = id};

    if (now)
        document_target(now, f->kind, &f->request->arena, &target);
    return target;
}

// The first of the stale reads that takes it, by number; how many there are: none does.
static size_t stale_of(const struct faulty_read *f, const struct fault_target *target)
{
    const struct fault *fault;
    size_t at = 0, number = 0;

    while ((fault = next_rule(f, FAULT_STALE_READ, &at)) && !fault_selects(fault, target))
        number++;
    return number;
}

static bool is_hidden(const struct faulty_read *f, const struct fault_target *target,
                      int64_t made_ns)
{
    const struct fault *fault;
    size_t at = 0;

    while ((fault = next_rule(f, FAULT_HIDE_NEW, &at)))
        if (made_ns > f->now_ns - fault->effect.duration_ns && fault_selects(fault, target))
            return true;
    return false;
}

static size_t moment_of(void *context, const char *id, struct bytes now)
{
    struct faulty_read *f = context;
    json_t *document = document_parse(now);
    struct fault_target target = target_of(f, id, document);
    size_t number = stale_of(f, &target);

    json_decref(document);
    return number;
}

// A selector that wants more than the id takes what is there now.
static enum past_choice choose(void *context, const struct past *past)
{
    struct faulty_read *f = context;
    enum past_choice choice;
    json_t *then = document_parse(past->then), *now = document_parse(past->now), *seen;
    struct fault_target target = target_of(f, past->id, now);

    choice = past->moment < f->moments ? PAST_THEN : PAST_NOW;
    seen = choice == PAST_THEN ? then : now;
    if (is_hidden(f, &target, past->made_ns) || !seen ||
        (f->query && !document_matches(seen, f->query)))
        choice = PAST_NEITHER;
    json_decref(then);
    json_decref(now);
    return choice;
}

// False: the rules that have fired do not reach into the past.
static bool view_of(struct faulty_read *f, struct past_view *out)
{
    const struct fault *fault;
    size_t at = 0;

    *out = (struct past_view){.moment = moment_of, .choose = choose, .context = f};
    f->now_ns = cloud_now(f->request->api->cloud);
    while ((fault = next_rule(f, FAULT_HIDE_NEW, &at))) {
        int64_t by = f->now_ns - fault->effect.duration_ns;
        out->born_by_ns = out->born_by_ns == 0 || by < out->born_by_ns ? by : out->born_by_ns;
    }
    for (at = 0; (fault = next_rule(f, FAULT_STALE_READ, &at));) {
        struct past_moment *moment = &out->moments[out->moment_count++];
        moment->back = fault->effect.count;
        moment->as_of_ns = fault->effect.duration_ns ? f->now_ns - fault->effect.duration_ns : 0;
    }
    f->moments = out->moment_count;
    return out->born_by_ns != 0 || out->moment_count > 0;
}

// --- altered on the way out ---

static bool alters(const struct fault_fired *fired)
{
    return fired->fault->effect.type == FAULT_WRONG_ANSWER;
}

static bool any_alters(const struct faulty_read *f)
{
    for (size_t i = 0; i < f->verdict->count; i++)
        if (alters(&f->verdict->fired[i]))
            return true;
    return false;
}

// The name of the first resource of the kind: the one that duplicates have. NULL: there is none.
static const char *first_name(struct faulty_read *f)
{
    struct request *r = f->request;
    struct list_query query = {.kind = f->kind, .project = f->project, .limit = 1};
    struct buffer first = {0};
    int64_t next, revision;
    const char *name = NULL;
    json_t *document;
    size_t count;

    if (cloud_list(r->api->cloud, &query, &first, &count, &next, &revision, NULL) < 0)
        return NULL;
    document = document_parse((struct bytes){first.data, first.length});
    if (json_object_get(document, "name"))
        name = arena_strdup(&r->arena, json_string_value(json_object_get(document, "name")));
    json_decref(document);
    buffer_fini(&first);
    return name;
}

static void alter(struct faulty_read *f, json_t *document)
{
    bool chosen[FAULT_FIRED_MAX];
    struct fault_target target;

    // Selectors go by the truth: by what the document says before any rule has altered it. One
    // document was selected when the rules were asked.
    document_target(document, f->kind, &f->request->arena, &target);
    for (size_t i = 0; i < f->verdict->count; i++)
        chosen[i] = alters(&f->verdict->fired[i]) &&
                    (!f->query || fault_selects(f->verdict->fired[i].fault, &target));
    for (size_t i = 0; i < f->verdict->count; i++) {
        const struct fault *fault = f->verdict->fired[i].fault;
        const char *name = NULL;

        if (!chosen[i])
            continue;
        if (fault->effect.wrong == FAULT_WRONG_DUPLICATE_NAMES)
            name = first_name(f);
        wrong_answer(document, fault, name);
    }
}

static int reload(struct buffer *text, size_t from, json_t **out, struct error *err)
{
    if (text->failed)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    return json_in_load(text->data + from, text->length - from, out, err);
}

int faulty_get(struct faulty_read *f, const char *id, struct buffer *out, int64_t *out_revision,
               bool *out_altered, struct error *err)
{
    struct cloud *cloud = f->request->api->cloud;
    struct past_view view;
    json_t *document;
    int result = view_of(f, &view)
                     ? cloud_get_past(cloud, f->kind, f->project, id, &view, out, out_revision, err)
                     : cloud_get(cloud, f->kind, f->project, id, out, out_revision, err);

    *out_altered = any_alters(f);
    if (result < 0 || !*out_altered)
        return result;
    result = reload(out, 0, &document, err);
    if (result < 0)
        return result;
    alter(f, document);
    buffer_clear(out);
    result = document_put(document, out, err);
    json_decref(document);
    return result;
}

// --- lists ---

static void reorder_by(struct faulty_read *f, const struct fault_fired *fired, json_t *items)
{
    bool *chosen = arena_alloc(&f->request->arena, json_array_size(items) + 1);
    json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        struct fault_target target;

        document_target(item, f->kind, &f->request->arena, &target);
        chosen[i] = fault_selects(fired->fault, &target);
    }
    wrong_order(items, chosen, fired->seed);
}

static void reorder(struct faulty_read *f, json_t *items)
{
    for (size_t i = 0; i < f->verdict->count; i++)
        if (f->verdict->fired[i].fault->effect.type == FAULT_REORDER)
            reorder_by(f, &f->verdict->fired[i], items);
}

// Rewrites the items, from where they begin in `out`. Page tokens go by the true order, so pages
// are neither lost nor doubled.
static int rewrite(struct faulty_read *f, struct buffer *out, size_t start, struct error *err)
{
    json_t *items, *item;
    size_t i;
    int result;

    buffer_append_string(out, "]");
    result = reload(out, start, &items, err);
    if (result < 0)
        return result;
    reorder(f, items); // by the truth, as selectors are
    json_array_foreach(items, i, item) alter(f, item);
    out->length = start + 1;
    json_array_foreach(items, i, item)
    {
        buffer_append_string(out, i > 0 ? "," : "");
        if (result == 0)
            result = document_put(item, out, err);
    }
    json_decref(items);
    return result;
}

int faulty_list(struct faulty_read *f, const struct list_query *query, struct buffer *out,
                int64_t *out_next_seq, int64_t *out_revision, struct error *err)
{
    struct cloud *cloud = f->request->api->cloud;
    size_t start = out->length - 1, count; // of the '['
    struct past_view view;
    int result =
        view_of(f, &view)
            ? cloud_list_past(cloud, query, &view, out, &count, out_next_seq, out_revision, err)
            : cloud_list(cloud, query, out, &count, out_next_seq, out_revision, err);

    if (result < 0 || !(any_alters(f) || fault_verdict_find(f->verdict, FAULT_REORDER)))
        return result;
    return rewrite(f, out, start, err);
}
