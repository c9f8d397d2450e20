#include "api/injection.h"

#include "api/handlers.h"
#include "base/timefmt.h"

#include <jansson.h>
#include <string.h>

// --- what the request is about ---

static const char *keep_string(struct request *r, const json_t *document, const char *key)
{
    return arena_strdup(&r->arena, json_string_value(json_object_get(document, key)));
}

static void keep_tags(struct request *r, const json_t *document, struct fault_target *out)
{
    json_t *tags = json_object_get(document, "tags"), *value;
    struct store_tag *kept = arena_alloc(&r->arena, json_object_size(tags) * sizeof(*kept) + 1);
    const char *key;

    json_object_foreach(tags, key, value)
    {
        kept[out->tag_count++] = (struct store_tag){
            arena_strdup(&r->arena, key), arena_strdup(&r->arena, json_string_value(value))};
    }
    out->tags = kept;
}

// From its document, as a client would see it.
static bool look(void *context, struct fault_target *inout)
{
    struct request *r = context;
    struct buffer text;
    int64_t revision,
        project = inout->kind <= KIND_ROUTE ? r->project : 0; // the catalogue is nobody's
    json_t *document = NULL;

    buffer_init(&text);
    if (inout->id && cloud_get(r->api->cloud, (enum kind)inout->kind, project, inout->id, &text,
                               &revision, NULL) == 0)
        document = json_loadb(text.data, text.length, 0, NULL);
    buffer_fini(&text);
    if (!document)
        return false;
    inout->name = keep_string(r, document, "name");
    inout->zone = keep_string(r, document, "zone");
    inout->type = keep_string(r, document, "type");
    inout->state = keep_string(r, document, "state");
    keep_tags(r, document, inout);
    json_decref(document);
    return true;
}

static void take_tags(struct request *r, const struct tags_spec *tags, struct fault_target *out)
{
    struct store_tag *kept = arena_alloc(&r->arena, tags->count * sizeof(*kept) + 1);

    for (size_t i = 0; i < tags->count; i++)
        if (tags->items[i].value)
            kept[out->tag_count++] = (struct store_tag){tags->items[i].key, tags->items[i].value};
    out->tags = kept;
}

// What is to be created is known by its request.
static void take_request(struct request *r, struct fault_target *out)
{
    const struct change *c = r->change;

    switch (r->endpoint->kind) {
    case KIND_INSTANCE:
        out->name = c->request.instance.name;
        out->zone = c->request.instance.zone;
        out->type = c->request.instance.type;
        take_tags(r, &c->request.instance.tags, out);
        break;
    case KIND_LOAD_BALANCER:
        out->name = c->request.load_balancer.name;
        take_tags(r, &c->request.load_balancer.tags, out);
        break;
    case KIND_TARGET_POOL:
        out->name = c->request.target_pool.name;
        take_tags(r, &c->request.target_pool.tags, out);
        break;
    case KIND_ADDRESS:
        out->name = c->request.address.name;
        take_tags(r, &c->request.address.tags, out);
        break;
    case KIND_ROUTE:
        out->name = c->request.route.name;
        take_tags(r, &c->request.route.tags, out);
        break;
    default:
        break;
    }
}

static bool take_id(const struct request *r, char out[64])
{
    struct span id = r->parameters[0];

    if (!id.data || id.length >= 64)
        return false;
    memcpy(out, id.data, id.length);
    out[id.length] = '\0';
    return true;
}

// --- the verdict ---

static int64_t seconds_up(int64_t ns)
{
    return (ns + NS_PER_S - 1) / NS_PER_S;
}

static void take_rate(struct request *r, const struct fault_rate *rate)
{
    if (rate->limit == 0)
        return;
    r->reply.rate = (struct rate_limit){rate->limit, rate->view.remaining,
                                        seconds_up(rate->view.full_after_ns)};
}

static void take_latency(struct injection *i, const struct fault_fired *fired)
{
    const struct fault_effect *e = &fired->fault->effect;
    int64_t ns = distribution_draw(&e->delay, fired->seed, fired->ordinal, 0);

    if (e->clock == FAULT_CLOCK_CLOUD)
        i->cloud_wait_ns += ns;
    else
        i->wait_ns += ns;
}

static void take_verdict(struct request *r, const struct fault_verdict *v)
{
    struct injection *i = r->injection = arena_alloc(&r->arena, sizeof(*i));

    i->verdict = *v;
    for (size_t k = 0; k < v->count; k++) {
        const struct fault_fired *fired = &v->fired[k];
        enum fault_place place = fault_place_of(fired->fault->effect.type);
        if (fired->fault->effect.type == FAULT_LATENCY) {
            take_latency(i, fired);
        } else if (place == FAULT_AT_DOOR || place == FAULT_AT_REPLY || place == FAULT_AT_CHANGED) {
            i->end = fired->fault;
            i->seed = fired->seed;
        }
    }
    request_set_fault(r, (i->end ? i->end : v->fired[0].fault)->r.id);
}

static void ask(struct request *r)
{
    const struct endpoint *e = r->endpoint;
    bool is_read = !e->apply;
    bool is_stream = e->handle == handle_events && request_wants_stream(r); // no reply that ends
    char id[64];
    struct fault_target target = {.kind = e->kind == KIND_COUNT ? -1 : (int)e->kind};
    struct fault_call call = {
        .places = FAULT_BIT(FAULT_AT_DOOR) | (is_stream ? 0 : FAULT_BIT(FAULT_AT_REPLY)) |
                  (is_read ? 0 : FAULT_BIT(FAULT_AT_CHANGED)) |
                  (endpoint_reads(e) ? FAULT_BIT(FAULT_AT_READ) : 0),
        .operation = e->operation,
        .project = r->project,
        .scope = (int)r->who.scope,
        .user_agent = r->headers.user_agent,
        .target = target.kind < 0 ? NULL : &target,
        .look = look,
        .context = r,
    };
    struct fault_verdict verdict;

    if (take_id(r, id))
        target.id = id;
    else if (r->change)
        take_request(r, &target);
    call.many = is_read && !target.id;
    fault_decide(r->api->cloud, &call, &verdict);
    take_rate(r, &verdict.rate);
    if (verdict.count > 0)
        take_verdict(r, &verdict);
}

void injection_ask(struct request *r)
{
#ifdef MOCKCLOUD_WITHOUT_FAULTS // tests/bench/faults.py measures what asking costs
    (void)ask;
    return;
#endif
    if (r->endpoint->access == ACCESS_CLOUD && fault_any(r->api->cloud))
        ask(r);
}

bool injection_ends(const struct request *r, enum fault_effect_type type)
{
    return r->injection && r->injection->end && r->injection->end->effect.type == type;
}

size_t injection_cut(const struct request *r, size_t length)
{
    int64_t wanted = r->injection->end->effect.count;

    if (wanted == 0)
        return length / 2;
    return (uint64_t)wanted < length ? (size_t)wanted : length - 1;
}

void injection_fini(struct request *r)
{
    if (r->injection)
        fault_verdict_fini(&r->injection->verdict);
    r->injection = NULL;
}

static void put_throttle(struct request *r, int64_t ns)
{
    r->reply.status = 429;
    r->reply.retry_after_s = ns > 0 ? seconds_up(ns) : 1;
}

void injection_refuse(struct request *r)
{
    const struct fault_effect *e = &r->injection->end->effect;
    struct error throttled = {.code = ERROR_THROTTLED, .message = "too many requests"};
    char id[REQUEST_ID_MAX];

    if (e->type == FAULT_THROTTLE) {
        request_refuse(r, &throttled);
        put_throttle(r, r->injection->verdict.rate.view.retry_after_ns);
        return;
    }
    buffer_clear(&r->reply.body);
    r->reply.fixed = NULL;
    r->reply.revision = 0;
    r->reply.location = NULL;
    r->reply.status = e->status;
    r->reply.content_type = PROBLEM_TYPE;
    r->reply.retry_after_s = seconds_up(e->retry_after_ns);
    request_id(r, id);
    problem_encode_injected(e->status, e->code, e->message, id, &r->reply.body);
}
