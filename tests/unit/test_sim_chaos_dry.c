// A dry run of chaos plans what the real thing would do, within its limits.
#include "tests/unit/seed.h"
#include "tests/unit/sim_fixture.h"

#include "api/actor.h"
#include "base/random.h"

#include <stdio.h>

#define ROUNDS 16
#define INSTANCES 20
#define DOWN (300 * NS_PER_S)
#define NOTICE (60 * NS_PER_S)
#define NEVER INT64_MAX

static const char *const zone_names[] = {"mock-1a", "mock-1b", "mock-1c"};

struct planned { // an instance
    char id[ID_MAX];
    const char *zone;
    bool spared, spot;
    int64_t down_until, gone_at;
};

struct story {
    struct sim sim;
    uint64_t seed;
    int64_t drawn, now_ns;
    struct chaos_settings set;
    struct planned planned[INSTANCES];
    int64_t struck, skipped, outages;
};

static int64_t draw(struct story *s, int64_t least, int64_t most)
{
    uint64_t value = random_u64(s->seed, ++s->drawn, 0);

    return least + (int64_t)(value % (uint64_t)(most - least + 1));
}

// --- a cloud in which nothing takes time ---

static void make_instance(struct story *s, struct planned *p)
{
    static struct tag_patch tag = {"role", "db"};
    struct change *c = request(&s->sim, instance_create, NULL);

    p->zone = zone_names[draw(s, 0, 2)];
    p->spared = draw(s, 0, 9) == 0;
    p->spot = draw(s, 0, 1);
    p->gone_at = NEVER;
    c->request.instance.zone = p->zone;
    c->request.instance.lifecycle = p->spot ? LIFECYCLE_SPOT : LIFECYCLE_ON_DEMAND;
    if (p->spared)
        c->request.instance.tags = (struct tags_spec){&tag, 1};
    snprintf(p->id, ID_MAX, "%s", text(accepted(&s->sim, c), "id"));
}

static void draw_settings(struct story *s, unsigned actions)
{
    static struct store_tag tag = {"role", NULL};
    struct chaos_settings *set = &s->set;

    *set = (struct chaos_settings){.respawn = draw(s, 0, 2) > 0,
                                   .min_down_ns = DOWN,
                                   .max_down_ns = DOWN,
                                   .notice_ns = NOTICE,
                                   .protect = &tag,
                                   .protect_count = 1};
    for (int action = 0; action < CHAOS_ACTION_COUNT; action++)
        set->rates[action] = actions >> action & 1 ? draw(s, 1, 40) * CHAOS_RATE_UNIT : 0;
    set->max_down = (int)draw(s, 0, INSTANCES);
    set->max_down_per_zone = (int)draw(s, 0, INSTANCES / 2);
    set->min_running = draw(s, 0, 1) ? (int)draw(s, 0, INSTANCES - 5) : 0;
}

// The documents of chaos, one for each misfortune; the caller frees. The instances are as many.
static json_t *run(struct story *s, unsigned actions, bool dry)
{
    json_t *told = json_array();
    struct change *c;
    int64_t since;
    char *log, *end;

    sim_open_with(&s->sim, 1, &api_actor);
    for (int i = 0; i < INSTANCES; i++)
        make_instance(s, &s->planned[i]);
    draw_settings(s, actions);
    since = cloud_revision(s->sim.cloud);
    c = request(&s->sim, chaos_start, NULL);
    c->request.chaos.set = s->set;
    c->request.chaos.set.dry_run = dry;
    c->request.chaos.seed = (int64_t)(s->seed >> 1);
    c->request.chaos.has_seed = true;
    accepted(&s->sim, c);
    advance(&s->sim, 3600 * NS_PER_S * 6);
    log = event_log(&s->sim, since);
    for (char *line = log; (end = strchr(line, '\n')); line = end + 1) {
        json_t *event = json_loadb(line, (size_t)(end - line), 0, NULL);
        json_t *document = json_object_get(event, "document");

        if (dry && strcmp(text(event, "kind"), "instance") == 0)
            fail_msg("a dry run touched %s", text(event, "id"));
        if (strcmp(text(event, "kind"), "chaos") == 0 && json_object_get(document, "last"))
            json_array_append(told, document);
        json_decref(event);
    }
    free(log);
    sim_close(&s->sim);
    return told;
}

// --- a model of the plan ---

static bool runs(const struct story *s, const struct planned *p)
{
    return p->down_until <= s->now_ns && p->gone_at == NEVER;
}

static void check_limits(const struct story *s)
{
    int down = 0, running = 0, in_zone[3] = {0};

    for (int i = 0; i < INSTANCES; i++) {
        const struct planned *p = &s->planned[i];
        bool is_down = p->down_until > s->now_ns && p->gone_at > s->now_ns;

        running += runs(s, p);
        down += is_down;
        for (int zone = 0; zone < 3; zone++)
            in_zone[zone] += is_down && strcmp(p->zone, zone_names[zone]) == 0;
    }
    for (int zone = 0; zone < 3; zone++)
        assert_true(s->set.max_down_per_zone == 0 || in_zone[zone] <= s->set.max_down_per_zone);
    assert_true(s->set.max_down == 0 || down <= s->set.max_down);
    assert_true(running >= s->set.min_running);
}

static struct planned *find(struct story *s, const char *id)
{
    for (int i = 0; i < INSTANCES; i++)
        if (strcmp(s->planned[i].id, id) == 0)
            return &s->planned[i];
    fail_msg("there is no %s", id);
    return NULL;
}

static void strike(struct story *s, const char *action, const char *id)
{
    struct planned *p = find(s, id);
    bool notice = strcmp(action, "interrupt") == 0;
    int64_t ends = s->now_ns + (notice ? NOTICE : 0);

    if (p->spared || !runs(s, p) || (notice && !p->spot))
        fail_msg("%s cannot be struck by %s", id, action);
    if (strcmp(action, "reboot") == 0)
        return; // in no time
    p->down_until = ends + DOWN;
    if (strcmp(action, "stop") != 0 && !s->set.respawn) {
        p->gone_at = ends;
        p->down_until = ends;
    }
}

static void strike_zone(struct story *s, const char *zone)
{
    for (int i = 0; i < INSTANCES; i++) {
        struct planned *p = &s->planned[i];

        if (strcmp(p->zone, zone) != 0 || p->gone_at != NEVER)
            continue;
        if (p->spared)
            fail_msg("%s is protected, but its zone goes down", p->id);
        if (p->down_until < s->now_ns + DOWN)
            p->down_until = s->now_ns + DOWN;
    }
    s->outages++;
}

static void follow(struct story *s, json_t *document)
{
    json_t *last = json_object_get(document, "last");
    const char *action = text(last, "action"), *outcome = text(last, "outcome");
    struct error err = {0};

    assert_int_equal(time_parse(text(document, "updated_at"), &s->now_ns, &err), 0);
    if (strcmp(outcome, "dry-run") != 0) {
        assert_string_equal(outcome, "skipped");
        s->skipped++;
        return;
    }
    s->struck++;
    if (json_object_get(last, "instance_id"))
        strike(s, action, text(last, "instance_id"));
    else if (strcmp(action, "zone_outage") == 0)
        strike_zone(s, text(last, "zone"));
    check_limits(s);
}

static void the_plan_of_a_dry_run_keeps_the_limits(void **unused)
{
    int64_t struck = 0, skipped = 0, outages = 0;
    uint64_t seed = chosen_seed();

    (void)unused;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct story *s = calloc(1, sizeof(*s));
        json_t *told, *document;
        size_t n;

        printf("SEED=%llu\n", (unsigned long long)(seed + round));
        s->seed = seed + round;
        told = run(s, ~0U, true);
        json_array_foreach(told, n, document) follow(s, document);
        struck += s->struck;
        skipped += s->skipped;
        outages += s->outages;
        json_decref(told);
        free(s);
    }
    printf("%d planned, %d of them outages; %d skipped\n", (int)struck, (int)outages, (int)skipped);
    assert_true(struck > 500 && outages > 5 && skipped > 500);
}

static bool same_victim(json_t *a, json_t *b)
{
    return json_equal(json_object_get(a, "number"), json_object_get(b, "number")) &&
           json_equal(json_object_get(a, "action"), json_object_get(b, "action")) &&
           (json_object_get(a, "instance_id")
                ? json_equal(json_object_get(a, "instance_id"), json_object_get(b, "instance_id"))
                : !json_object_get(b, "instance_id"));
}

// What an earlier one has replaced has another id: of stops and reboots alone.
static void a_dry_run_plans_what_is_then_done(void **unused)
{
    const unsigned actions = 1U << CHAOS_STOP | 1U << CHAOS_REBOOT;
    struct story *plan = calloc(1, sizeof(*plan)), *real = calloc(1, sizeof(*real));
    json_t *planned, *done;
    size_t n = 0, at = 0;

    (void)unused;
    plan->seed = real->seed = chosen_seed();
    printf("SEED=%llu\n", (unsigned long long)plan->seed);
    planned = run(plan, actions, true);
    done = run(real, actions, false);
    for (; n < json_array_size(planned); n++) {
        json_t *a = json_object_get(json_array_get(planned, n), "last"), *b = NULL;

        for (; at < json_array_size(done); at++) { // it is told of remedies, too
            b = json_object_get(json_array_get(done, at), "last");
            if (json_equal(json_object_get(a, "number"), json_object_get(b, "number")))
                break;
        }
        if (!same_victim(a, b))
            fail_msg("%s planned, %s done", json_dumps(a, 0), json_dumps(b, 0));
    }
    printf("%zu misfortunes\n", n);
    assert_true(n > 5);
    json_decref(planned);
    json_decref(done);
    free(plan);
    free(real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plan_of_a_dry_run_keeps_the_limits),
        cmocka_unit_test(a_dry_run_plans_what_is_then_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
