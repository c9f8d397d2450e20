// Random lives under random rules: whatever they have held, failed, refused and taken down, the
// cloud heals when the last of them has gone; and the same story is told twice in the same words.
#include "base/random.h"
#include "sim/fault.h"
#include "tests/unit/seed.h"
#include "tests/unit/sim_fixture.h"

#include <inttypes.h>
#include <stdio.h>

enum { STORIES = 6, STEPS = 400, IDS = 64, RULES = 12 };

struct story {
    struct sim s;
    uint64_t seed;
    int64_t draws;
    char instances[IDS][ID_MAX], balancers[IDS][ID_MAX], rules[RULES][ID_MAX];
    size_t instance_count, balancer_count, rule_count, route_count;
};

static size_t draw(struct story *y, size_t below)
{
    return (size_t)(random_u64(y->seed, y->draws++, 0) % below);
}

// Applies it, refused or not; true and the id when something was made.
static bool try(struct story *y, struct change *c, char id[ID_MAX])
{
    bool done = cloud_apply(y->s.cloud, c) == 0;

    if (done && id && c->result_id)
        snprintf(id, ID_MAX, "%s", c->result_id);
    change_free(c);
    return done;
}

// --- what happens ---

static void make_latencies_random(struct sim *s)
{
    static const char *const transitions[] = {
        "instance.pending",           "instance.stopping",      "instance.rebooting",
        "instance.terminating",       "target.initial",         "target.draining",
        "load_balancer.provisioning", "load_balancer.deleting", "route.pending"};

    for (size_t n = 0; n < sizeof(transitions) / sizeof(transitions[0]); n += 2) {
        struct change *c = request(s, latency_put, transitions[n]);

        c->request.latency = (struct distribution){DISTRIBUTION_UNIFORM, 0, 20 * NS_PER_S};
        accepted(s, c);
    }
}

static void add_rule(struct story *y)
{
    static const struct {
        const char *glob;
        enum fault_effect_type type;
    } kinds[] = {
        {"instance.*", FAULT_STUCK_TRANSITION},
        {"load_balancer.*", FAULT_STUCK_TRANSITION},
        {"target.*", FAULT_STUCK_TRANSITION},
        {"route.*", FAULT_STUCK_TRANSITION},
        {"instance.pending", FAULT_STUCK_TRANSITION},
        {"instance.*", FAULT_FAILED_TRANSITION},
        {"load_balancer.*", FAULT_FAILED_TRANSITION},
        {"*", FAULT_EXHAUSTED},
        {"*", FAULT_ZONE_OUTAGE},
        {"*", FAULT_ZONE_OUTAGE},
    };
    static const char *const zones[] = {"mock-1a", "mock-1b", "mock-1c"};
    size_t kind = draw(y, sizeof(kinds) / sizeof(kinds[0]));
    struct change *c = request(&y->s, fault_create, NULL);
    struct fault_spec *spec = &c->request.fault;

    if (draw(y, 2)) {
        c->project = 0;
        c->project_name = NULL;
    }
    spec->match.operations = arena_alloc(&c->arena, sizeof(*spec->match.operations));
    spec->match.operations[0] = kinds[kind].glob;
    spec->match.operation_count = 1;
    spec->match.scope = -1;
    spec->match.resource.kind = -1;
    spec->when.probability = draw(y, 2) ? 1 : 0.4;
    spec->when.from_ns = draw(y, 3) ? 0 : (int64_t)draw(y, 20) * NS_PER_S;
    spec->when.until_ns = draw(y, 2) ? 0 : (int64_t)(21 + draw(y, 60)) * NS_PER_S;
    spec->from_is_delay = spec->until_is_delay = true;
    spec->from_is_delay = spec->when.from_ns != 0;
    spec->until_is_delay = spec->when.until_ns != 0;
    spec->effect.type = kinds[kind].type;
    spec->effect.zone = zones[draw(y, 3)];
    spec->effect.outage = (enum fault_outage)draw(y, 3);
    if (spec->effect.type == FAULT_STUCK_TRANSITION && draw(y, 2))
        spec->effect.duration_ns = (int64_t)(1 + draw(y, 90)) * NS_PER_S;
    if (y->rule_count == RULES)
        change_free(c);
    else if (try(y, c, y->rules[y->rule_count]))
        y->rule_count++;
}

static void remove_rule(struct story *y)
{
    size_t n;

    if (y->rule_count == 0)
        return;
    n = draw(y, y->rule_count);
    act(&y->s, fault_delete, y->rules[n]);
    memmove(y->rules[n], y->rules[y->rule_count - 1], ID_MAX);
    y->rule_count--;
}

static void make_instance(struct story *y)
{
    static const char *const zones[] = {"mock-1a", "mock-1b", "mock-1c"};
    struct change *c = request(&y->s, instance_create, NULL);

    c->request.instance.zone = zones[draw(y, 3)];
    if (y->instance_count == IDS)
        change_free(c);
    else if (try(y, c, y->instances[y->instance_count]))
        y->instance_count++;
}

static void move_instance(struct story *y)
{
    static change_apply *const actions[] = {instance_start, instance_stop, instance_reboot,
                                            instance_terminate};

    if (y->instance_count > 0)
        try(y, request(&y->s, actions[draw(y, 4)], y->instances[draw(y, y->instance_count)]), NULL);
}

static void make_what_follows(struct story *y)
{
    struct target_ref targets[3] = {{0}};
    struct change *c;

    if (y->instance_count == 0)
        return;
    c = request(&y->s, target_pool_create, NULL);
    for (size_t n = 0; n < 3; n++)
        targets[n].instance_id =
            arena_strdup(&c->arena, y->instances[(draw(y, 8) + n * 8) % y->instance_count]);
    c->request.target_pool.targets = targets;
    c->request.target_pool.target_count = 1 + draw(y, 3);
    try(y, c, NULL);
    c = request(&y->s, route_create, NULL);
    c->request.route.destination_cidr =
        arena_printf(&c->arena, "10.200.%zu.0/24", y->route_count++ % 256);
    c->request.route.next_hop_instance_id = y->instances[draw(y, y->instance_count)];
    try(y, c, NULL);
}

static void make_or_delete_balancer(struct story *y)
{
    if (y->balancer_count == 0 || (y->balancer_count < IDS && draw(y, 2))) {
        if (try(y, request(&y->s, load_balancer_create, NULL), y->balancers[y->balancer_count]))
            y->balancer_count++;
    } else {
        try(y, request(&y->s, load_balancer_delete, y->balancers[draw(y, y->balancer_count)]),
            NULL);
    }
}

static void step(struct story *y)
{
    static void (*const steps[])(struct story *) = {
        make_instance,     move_instance,           move_instance, move_instance,
        make_what_follows, make_or_delete_balancer, add_rule,      remove_rule};

    steps[draw(y, sizeof(steps) / sizeof(steps[0]))](y);
    if (draw(y, 3) == 0)
        advance(&y->s, (int64_t)draw(y, 30) * NS_PER_S);
}

// --- what has to be true at the end ---

static json_t *list(struct story *y, enum kind kind)
{
    struct list_query q = {.kind = kind, .limit = 10000};
    int64_t next, revision;
    struct buffer out;
    size_t count;
    json_t *items;

    buffer_init(&out);
    buffer_append_string(&out, "[");
    assert_int_equal(cloud_list(y->s.cloud, &q, &out, &count, &next, &revision, NULL), 0);
    buffer_append_string(&out, "]");
    items = json_loadb(out.data, out.length, 0, NULL);
    assert_non_null(items);
    buffer_fini(&out);
    return items;
}

static bool runs(struct story *y, const char *id)
{
    json_t *instance = id ? look(&y->s, KIND_INSTANCE, id) : NULL;

    return instance && strcmp(text(instance, "state"), "running") == 0;
}

static void expect(struct story *y, const json_t *document, bool holds)
{
    char *shown = holds ? NULL : json_dumps(document, JSON_COMPACT);

    if (!holds)
        fail_msg("replay with SEED=%" PRIu64 ": not healed: %s", y->seed, shown);
}

static bool is_state(json_t *document, const char *a, const char *b, const char *c)
{
    const char *state = text(document, "state");

    return strcmp(state, a) == 0 || strcmp(state, b) == 0 || strcmp(state, c) == 0;
}

static bool is_down(json_t *document)
{
    json_t *reason = json_object_get(document, "state_reason");

    return reason && strcmp(text(reason, "code"), "zone-outage") == 0;
}

static void check_targets(struct story *y, json_t *pool, size_t *examined)
{
    json_t *target;
    size_t n;

    json_array_foreach(json_object_get(pool, "targets"), n, target)
    {
        const char *id = json_string_value(json_object_get(target, "instance_id"));
        const char *health = text(target, "health");

        expect(y, pool, strcmp(health, runs(y, id) ? "healthy" : "unhealthy") == 0);
        (*examined)++;
    }
}

static size_t check_healed(struct story *y)
{
    size_t n, examined = 0;
    json_t *items, *item;

    items = list(y, KIND_INSTANCE);
    json_array_foreach(items, n, item)
        expect(y, item, is_state(item, "running", "stopped", "error") && !is_down(item));
    examined += json_array_size(items);
    json_decref(items);
    items = list(y, KIND_LOAD_BALANCER);
    json_array_foreach(items, n, item) expect(y, item, is_state(item, "active", "error", "active"));
    examined += json_array_size(items);
    json_decref(items);
    items = list(y, KIND_ROUTE);
    json_array_foreach(items, n, item)
    {
        json_t *hop = json_object_get(item, "next_hop");
        expect(y, item,
               is_state(item, runs(y, text(hop, "instance_id")) ? "active" : "blackhole", "", ""));
    }
    examined += json_array_size(items);
    json_decref(items);
    items = list(y, KIND_ZONE);
    json_array_foreach(items, n, item)
        expect(y, item, is_state(item, "available", "", "") && !is_down(item));
    json_decref(items);
    items = list(y, KIND_TARGET_POOL);
    json_array_foreach(items, n, item) check_targets(y, item, &examined);
    json_decref(items);
    return examined;
}

static char *tell(uint64_t seed, size_t *examined)
{
    static struct story y;
    char *log;

    y = (struct story){.seed = seed};
    sim_open(&y.s, 1);
    make_latencies_random(&y.s);
    for (int n = 0; n < STEPS; n++)
        step(&y);
    while (y.rule_count > 0)
        remove_rule(&y);
    advance(&y.s, 24 * 3600 * NS_PER_S);
    *examined += check_healed(&y);
    log = event_log(&y.s, 0);
    sim_close(&y.s);
    return log;
}

static int count(const char *log, const char *what)
{
    int found = 0;

    for (const char *at = log; (at = strstr(at, what)); at++)
        found++;
    return found;
}

static void the_cloud_heals_when_the_last_rule_has_gone_and_tells_it_twice_the_same(void **state)
{
    uint64_t seed = chosen_seed();
    int fired = 0, outages = 0, failures = 0;
    size_t examined = 0;

    (void)state;
    for (uint64_t n = 0; n < STORIES; n++) {
        print_message("replay with SEED=%" PRIu64 "\n", seed + n);
        char *first = tell(seed + n, &examined), *second = tell(seed + n, &examined);
        assert_string_equal(first, second);
        fired += count(first, "\"type\":\"fired\"");
        outages += count(first, "\"zone.outage\"");
        failures += count(first, "transition_failed");
        free(first);
        free(second);
    }
    print_message("%zu resources examined; %d firings, %d events of outages, %d of failures\n",
                  examined, fired, outages, failures);
    assert_true(examined > 20 && fired > 50 && outages > 10 && failures > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cloud_heals_when_the_last_rule_has_gone_and_tells_it_twice_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
