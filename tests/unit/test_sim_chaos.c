// Chaos keeps its limits at every moment, whatever the rates, limits and times, and brings back all
// that it took. The event log tells what every moment was like.
#include "tests/unit/seed.h"
#include "tests/unit/sim_fixture.h"

#include "api/actor.h"
#include "base/random.h"

#include <stdio.h>

#define ROUNDS 24
#define STEPS 60
#define ZONES 3
#define SEEN_MAX 10000
#define HOUR (3600 * NS_PER_S)

static const char *const zone_names[ZONES] = {"mock-1a", "mock-1b", "mock-1c"};

struct seen { // an instance
    char id[ID_MAX];
    int zone;
    bool spared, running, alive;
};

struct story {
    struct sim sim;
    uint64_t seed;
    int64_t drawn, since, checked;
    struct chaos_settings set;
    struct store_tag tags[1];
    struct seen seen[SEEN_MAX];
    size_t seen_count;
    int at_first[ZONES]; // that ran
    char pool[ID_MAX];   // of all the first
    int64_t done, skipped, outages, failures;
    int faults; // that stand
    char id[ID_MAX];
};

static int64_t draw(struct story *s, int64_t least, int64_t most)
{
    uint64_t value = random_u64(s->seed, ++s->drawn, 0);

    return least + (int64_t)(value % (uint64_t)(most - least + 1));
}

// --- looking ---

static struct seen *find(struct story *s, const char *id)
{
    for (size_t i = s->seen_count; i > 0; i--)
        if (strcmp(s->seen[i - 1].id, id) == 0)
            return &s->seen[i - 1];
    assert_true(s->seen_count < SEEN_MAX);
    snprintf(s->seen[s->seen_count].id, ID_MAX, "%s", id);
    return &s->seen[s->seen_count++];
}

static int running_in(const struct story *s, int zone)
{
    int count = 0;

    for (size_t i = 0; i < s->seen_count; i++)
        count += s->seen[i].running && s->seen[i].zone == zone;
    return count;
}

// Those of the beginning that do not run, nor another in their place; what was ended for good is
// not missed.
static int down_in(const struct story *s, int zone)
{
    int count = 0;

    if (s->set.respawn)
        return s->at_first[zone] - running_in(s, zone);
    for (size_t i = 0; i < s->seen_count; i++)
        count += s->seen[i].alive && !s->seen[i].running && s->seen[i].zone == zone;
    return count;
}

static void check_limits(struct story *s, int64_t revision)
{
    int down = 0, running = 0;

    for (int zone = 0; zone < ZONES; zone++) {
        int here = down_in(s, zone);

        if (s->set.max_down_per_zone > 0 && here > s->set.max_down_per_zone)
            fail_msg("%d are down in %s at revision %d", here, zone_names[zone], (int)revision);
        down += here;
        running += running_in(s, zone);
    }
    if (s->set.max_down > 0 && down > s->set.max_down)
        fail_msg("%d are down at revision %d", down, (int)revision);
    if (running < s->set.min_running)
        fail_msg("%d run at revision %d", running, (int)revision);
    s->checked++;
}

static void follow_instance(struct story *s, json_t *event)
{
    json_t *document = json_object_get(event, "document");
    struct seen *seen = find(s, text(event, "id"));
    const char *state = text(document, "state");

    while (strcmp(zone_names[seen->zone], text(document, "zone")) != 0)
        seen->zone++;
    seen->running = strcmp(state, "running") == 0;
    seen->alive = strcmp(state, "terminated") != 0 && strcmp(text(event, "type"), "deleted") != 0;
    seen->running = seen->running && seen->alive;
    if (seen->spared && !seen->running)
        fail_msg("%s is protected and %s", seen->id, state);
}

static void follow_pool(struct story *s, json_t *pool)
{
    json_t *target;
    size_t n;

    json_array_foreach(json_object_get(pool, "targets"), n, target)
    {
        json_t *reason = json_object_get(target, "health_reason");
        bool fails = reason && strcmp(json_string_value(reason), "health-check-failed") == 0;

        if (fails && find(s, text(target, "instance_id"))->spared)
            fail_msg("%s is protected, but its target fails", text(target, "instance_id"));
        s->failures += fails;
    }
}

static void follow(struct story *s, json_t *event, bool check)
{
    const char *kind = text(event, "kind"), *type = text(event, "type");

    s->since = json_integer_value(json_object_get(event, "revision"));
    if (strcmp(kind, "fault") == 0)
        s->faults += strcmp(type, "created") == 0 ? 1 : strcmp(type, "deleted") == 0 ? -1 : 0;
    if (strcmp(kind, "target_pool") == 0)
        follow_pool(s, json_object_get(event, "document"));
    if (strcmp(kind, "instance") != 0)
        return;
    follow_instance(s, event);
    if (check)
        check_limits(s, s->since);
}

// Reads all that has happened since.
static void look_on(struct story *s, bool check)
{
    char *log = event_log(&s->sim, s->since), *end;

    for (char *line = log; (end = strchr(line, '\n')); line = end + 1) {
        json_t *event = json_loadb(line, (size_t)(end - line), 0, NULL);

        assert_non_null(event);
        follow(s, event, check);
        json_decref(event);
    }
    free(log);
}

// --- a cloud, and chaos in it ---

static void takes_a_while(struct story *s, const char *transition)
{
    struct change *c = request(&s->sim, latency_put, transition);

    c->request.latency = (struct distribution){DISTRIBUTION_UNIFORM, 0, draw(s, 0, 120) * NS_PER_S};
    accepted(&s->sim, c);
}

static void make_instance(struct story *s)
{
    static struct tag_patch theirs = {"role", "db"};
    static struct tag_patch ours = {"chaos.mockcloud.dev/protected", "yes"};
    struct change *c = request(&s->sim, instance_create, NULL);
    int64_t how = draw(s, 0, 19);
    struct seen *seen;

    c->request.instance.zone = zone_names[draw(s, 0, ZONES - 1)];
    c->request.instance.lifecycle = draw(s, 0, 1) ? LIFECYCLE_SPOT : LIFECYCLE_ON_DEMAND;
    if (how < 2)
        c->request.instance.tags = (struct tags_spec){how ? &theirs : &ours, 1};
    seen = find(s, text(accepted(&s->sim, c), "id"));
    advance(&s->sim, 200 * NS_PER_S);
    look_on(s, false);
    s->at_first[seen->zone]++;
    seen->spared = how < 2;
}

static void make_pool(struct story *s)
{
    struct change *c = request(&s->sim, target_pool_create, NULL);
    struct target_pool_spec *spec = &c->request.target_pool;

    spec->has_targets = true;
    spec->target_count = s->seen_count;
    spec->targets = arena_alloc(&c->arena, s->seen_count * sizeof(*spec->targets));
    for (size_t i = 0; i < s->seen_count; i++)
        spec->targets[i].instance_id = s->seen[i].id;
    snprintf(s->pool, ID_MAX, "%s", text(accepted(&s->sim, c), "id"));
}

static void draw_settings(struct story *s, int instances)
{
    struct chaos_settings *set = &s->set;

    *set = (struct chaos_settings){.respawn = draw(s, 0, 2) > 0,
                                   .min_down_ns = draw(s, 0, 60) * NS_PER_S,
                                   .max_down_ns = draw(s, 60, 900) * NS_PER_S,
                                   .notice_ns = draw(s, 0, 200) * NS_PER_S};
    for (int action = 0; action < CHAOS_ACTION_COUNT; action++)
        set->rates[action] = draw(s, 0, 40) * CHAOS_RATE_UNIT;
    set->rates[CHAOS_STOP] += CHAOS_RATE_UNIT;
    set->max_down = (int)draw(s, 0, instances);
    set->max_down_per_zone = (int)draw(s, 0, instances / 2);
    set->min_running = draw(s, 0, 1) ? (int)draw(s, 0, instances) : 0;
    s->tags[0] = (struct store_tag){"role", draw(s, 0, 1) ? "db" : NULL};
    set->protect = s->tags;
    set->protect_count = 1;
}

static void begin(struct story *s)
{
    static const char *const timed[] = {"instance.pending", "instance.stopping",
                                        "instance.rebooting", "instance.terminating"};
    int instances = (int)draw(s, 3, 24);
    struct change *c;

    for (size_t i = 0; i < sizeof(timed) / sizeof(timed[0]); i++)
        takes_a_while(s, timed[i]);
    for (int i = 0; i < instances; i++)
        make_instance(s);
    make_pool(s);
    draw_settings(s, instances);
    c = request(&s->sim, chaos_start, NULL);
    c->request.chaos.set = s->set;
    snprintf(s->id, ID_MAX, "%s", text(accepted(&s->sim, c), "id"));
}

static int64_t sum(const json_t *counts)
{
    int64_t total = 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)counts, key, value) total += json_integer_value(value);
    return total;
}

static void targets_are_as_their_instances(struct story *s)
{
    json_t *target, *targets = json_object_get(look(&s->sim, KIND_TARGET_POOL, s->pool), "targets");
    size_t n;

    json_array_foreach(targets, n, target)
    {
        bool healthy = strcmp(text(target, "health"), "healthy") == 0;

        if (healthy != find(s, text(target, "instance_id"))->running)
            fail_msg("target %s is %s", text(target, "instance_id"), text(target, "health"));
    }
    assert_true(n > 0);
}

static void all_that_it_took_is_back(struct story *s)
{
    for (size_t i = 0; i < s->seen_count; i++)
        if (s->seen[i].alive && !s->seen[i].running)
            fail_msg("%s has not come back", s->seen[i].id);
    for (int zone = 0; s->set.respawn && zone < ZONES; zone++)
        assert_int_equal(running_in(s, zone), s->at_first[zone]);
    assert_int_equal(s->faults, 0);
    targets_are_as_their_instances(s);
}

static void end(struct story *s)
{
    json_t *document = look(&s->sim, KIND_CHAOS, s->id);
    bool forget = draw(s, 0, 1);

    s->done = sum(json_object_get(document, "done"));
    s->skipped = sum(json_object_get(document, "skipped"));
    s->outages =
        json_integer_value(json_object_get(json_object_get(document, "done"), "zone_outage"));
    act(&s->sim, forget ? chaos_delete : chaos_stop, s->id);
    advance(&s->sim, HOUR);
    document = look(&s->sim, KIND_CHAOS, s->id);
    assert_true(forget == !document);
    if (document)
        assert_int_equal(json_integer_value(json_object_get(document, "down")), 0);
    look_on(s, false);
    all_that_it_took_is_back(s);
}

static struct story *tell(uint64_t seed)
{
    struct story *s = calloc(1, sizeof(*s));

    s->seed = seed;
    sim_open_with(&s->sim, 1, &api_actor);
    begin(s);
    for (int step = 0; step < STEPS; step++) {
        advance(&s->sim, draw(s, 1, 600) * NS_PER_S);
        look_on(s, true);
    }
    end(s);
    sim_close(&s->sim);
    return s;
}

static void limits_hold_at_every_moment_and_all_come_back(void **unused)
{
    uint64_t seed = chosen_seed();
    int64_t done = 0, skipped = 0, outages = 0, checked = 0, failures = 0;

    (void)unused;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct story *s;

        printf("SEED=%llu\n", (unsigned long long)(seed + round));
        s = tell(seed + round);
        done += s->done;
        skipped += s->skipped;
        outages += s->outages;
        checked += s->checked;
        failures += s->failures;
        free(s);
    }
    printf("%d moments; %d misfortunes, %d of them outages; %d skipped\n", (int)checked, (int)done,
           (int)outages, (int)skipped);
    assert_true(checked > 1000 && done > 500 && outages > 5 && skipped > 500 && failures > 100);
}

static void nothing_takes_the_place_of_what_went_with_its_project(void **unused)
{
    struct sim s;
    struct change *c;
    int64_t before;
    char *log;

    (void)unused;
    sim_open_with(&s, 1, &api_actor);
    c = request(&s, project_create, NULL);
    c->request.project_create.name = "team";
    accepted(&s, c);
    assert_int_equal(cloud_project(s.cloud, "team", &s.project, NULL), 0);
    for (int i = 0; i < 5; i++)
        free(create_instance(&s, NULL));
    c = request(&s, chaos_start, NULL);
    c->request.chaos.set = (struct chaos_settings){.respawn = true, .max_down_ns = HOUR};
    c->request.chaos.set.rates[CHAOS_TERMINATE] = 1000 * CHAOS_RATE_UNIT;
    c->request.chaos.set.min_down_ns = HOUR;
    accepted(&s, c);
    advance(&s, 60 * NS_PER_S);
    before = cloud_revision(s.cloud);
    act(&s, project_delete, "team");
    log = event_log(&s, before);
    assert_non_null(strstr(log, "\"deleted\""));
    assert_null(strstr(log, "\"created\""));
    free(log);
    sim_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_hold_at_every_moment_and_all_come_back),
        cmocka_unit_test(nothing_takes_the_place_of_what_went_with_its_project),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
