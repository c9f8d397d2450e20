// Quotas, capacity and rate limits: what is counted is what there is, and no limit is exceeded.
#include "base/random.h"
#include "sim/cloud_internal.h"
#include "sim/usage.h"
#include "tests/unit/seed.h"
#include "tests/unit/sim_fixture.h"

#include <inttypes.h>
#include <stdio.h>

#define PROJECTS 3
#define ZONES 2
#define TYPES 2
#define STEPS 600
#define INSTANCES 512

static const char *const zones[ZONES] = {"mock-1a", "mock-1b"};
static const char *const types[TYPES] = {"small", "large"};
static const char *const projects[PROJECTS] = {"default", "team-a", "team-b"};

static void limit_project(struct sim *s, const char *project, enum kind kind, int64_t limit)
{
    struct change *c = request(s, quota_update, project);

    c->request.quota.limits[kind].given = true;
    c->request.quota.limits[kind].limit = limit;
    accepted(s, c);
}

static void limit_zone(struct sim *s, const char *zone, int64_t small, int64_t total)
{
    struct change *c = request(s, zone_put, zone);
    struct type_capacity *capacity = arena_alloc(&c->arena, sizeof(*capacity));

    *capacity = (struct type_capacity){"small", small};
    c->request.zone.region = "mock-1";
    c->request.zone.capacity = capacity;
    c->request.zone.capacity_count = small < 0 ? 0 : 1;
    c->request.zone.has_capacity_total = total >= 0;
    c->request.zone.capacity_total = total;
    accepted(s, c);
}

static struct change *create(struct sim *s, const char *zone, const char *type, int count)
{
    struct change *c = request(s, instance_create, NULL);

    c->request.instance.zone = zone;
    c->request.instance.type = type;
    c->request.instance.count = count;
    return c;
}

static int64_t used(struct sim *s, int64_t project, enum kind kind)
{
    return usage_of_quota(s->cloud->usage, project, kind).used;
}

// --- single rules ---

static void a_batch_beyond_a_quota_is_undone_in_the_count_too(void **state)
{
    struct sim *s = *state;

    limit_project(s, "default", KIND_INSTANCE, 5);
    accepted(s, create(s, "mock-1a", "small", 3));
    refused(s, create(s, "mock-1a", "small", 3), ERROR_QUOTA, "", "quota instances of project");
    assert_int_equal(used(s, s->project, KIND_INSTANCE), 3);
    assert_int_equal(usage_of_capacity(s->cloud->usage, "mock-1a", "small").used, 3);
    accepted(s, create(s, "mock-1a", "small", 2));
    assert_int_equal(used(s, s->project, KIND_INSTANCE), 5);
}

static void a_zone_that_is_full_names_zone_and_type(void **state)
{
    struct sim *s = *state;

    limit_zone(s, "mock-1a", 1, 2);
    accepted(s, create(s, "mock-1a", "small", 0));
    refused(s, create(s, "mock-1a", "small", 0), ERROR_CAPACITY, "type",
            "zone mock-1a has no capacity left for type small");
    accepted(s, create(s, "mock-1a", "large", 0));
    refused(s, create(s, "mock-1a", "large", 0), ERROR_CAPACITY, "zone", "zone mock-1a");
    limit_zone(s, "mock-1a", -1, -1);
    accepted(s, create(s, "mock-1a", "small", 10));
}

static void what_a_timer_brings_about_is_never_refused(void **state)
{
    struct sim *s = *state;

    takes(s, "instance.pending", NS_PER_S);
    accepted(s, create(s, "mock-1a", "small", 3));
    limit_project(s, "default", KIND_INSTANCE, 1);
    limit_zone(s, "mock-1a", 1, 1);
    advance(s, NS_PER_S);
    assert_int_equal(used(s, s->project, KIND_INSTANCE), 3);
}

static void cells_that_nobody_needs_are_given_back(void **state)
{
    struct sim *s = *state;

    for (int turn = 0; turn < 50; turn++) {
        char name[16];
        snprintf(name, sizeof(name), "p%d", turn);
        struct change *c = request(s, project_create, NULL);
        c->project = 0;
        c->request.project_create.name = name;
        accepted(s, c);
        limit_project(s, name, KIND_ROUTE, 3);
        act(s, project_delete, name);
    }
    int64_t project = s->project;
    assert_int_equal(usage_of_quota(s->cloud->usage, project + 1000, KIND_ROUTE).limit, UNLIMITED);
    assert_int_equal(usage_mark(s->cloud->usage), 0);
}

// --- random lives ---

struct story {
    struct sim *s;
    uint64_t seed;
    uint32_t draws;
    int64_t projects[PROJECTS];
    char ids[INSTANCES][ID_MAX];
    int owners[INSTANCES];
    size_t count;
    int64_t accepted, refused;
};

static uint64_t draw(struct story *st, uint64_t below)
{
    return random_u64(st->seed, 1, st->draws++) % below;
}

static void try(struct story *st, struct change *c, int owner)
{
    c->project = st->projects[owner];
    c->project_name = projects[owner];
    if (cloud_apply(st->s->cloud, c) == 0)
        st->accepted++;
    else
        st->refused += c->error.code == ERROR_QUOTA || c->error.code == ERROR_CAPACITY;
    if (c->apply == instance_create && c->error.code == ERROR_NONE && st->count < INSTANCES) {
        snprintf(st->ids[st->count], ID_MAX, "%s", c->result_id);
        st->owners[st->count++] = owner;
    }
    change_free(c);
}

static void step(struct story *st)
{
    static change_apply *const actions[] = {instance_start, instance_stop, instance_terminate,
                                            instance_reboot};
    struct sim *s = st->s;
    size_t pick = st->count > 0 ? draw(st, st->count) : 0;

    switch (draw(st, 8)) {
    case 0:
    case 1:
    case 2:
        try(st, create(s, zones[draw(st, ZONES)], types[draw(st, TYPES)], (int)draw(st, 4)),
            (int)draw(st, PROJECTS));
        break;
    case 3:
        advance(s, (int64_t)draw(st, 5) * NS_PER_S);
        break;
    case 4:
        if (draw(st, 4) == 0)
            limit_project(s, projects[draw(st, PROJECTS)], KIND_INSTANCE,
                          (int64_t)draw(st, 12) - 1);
        if (draw(st, 4) == 0)
            limit_zone(s, zones[draw(st, ZONES)], (int64_t)draw(st, 6) - 1,
                       (int64_t)draw(st, 9) - 1);
        break;
    default:
        if (st->count > 0)
            try(st, request(s, actions[draw(st, 4)], st->ids[pick]), st->owners[pick]);
    }
}

struct truth {
    int64_t of_project[PROJECTS], of_zone[ZONES], of_place[ZONES][TYPES];
};

static void count_one(struct truth *t, int project, json_t *instance)
{
    const char *state = text(instance, "state");

    if (strcmp(state, "terminated") == 0)
        return;
    t->of_project[project]++;
    bool placed = strcmp(state, "stopped") != 0 && strcmp(state, "terminating") != 0;
    for (int z = 0; z < ZONES && placed; z++) {
        if (strcmp(text(instance, "zone"), zones[z]) != 0)
            continue;
        t->of_zone[z]++;
        for (int k = 0; k < TYPES; k++)
            t->of_place[z][k] += strcmp(text(instance, "type"), types[k]) == 0;
    }
}

static struct truth look_at_all(struct story *st)
{
    struct truth t = {0};

    for (int p = 0; p < PROJECTS; p++) {
        struct list_query query = {
            .kind = KIND_INSTANCE, .project = st->projects[p], .limit = 10000};
        struct buffer out;
        int64_t next, revision;
        size_t count, i;
        json_t *list, *item;

        buffer_init(&out);
        buffer_append_string(&out, "[");
        assert_int_equal(cloud_list(st->s->cloud, &query, &out, &count, &next, &revision, NULL), 0);
        buffer_append_string(&out, "]");
        list = json_loadb(out.data, out.length, 0, NULL);
        json_array_foreach(list, i, item) count_one(&t, p, item);
        json_decref(list);
        buffer_fini(&out);
    }
    return t;
}

static void check(struct story *st)
{
    struct truth t = look_at_all(st);
    struct usage *u = st->s->cloud->usage;

    for (int p = 0; p < PROJECTS; p++)
        assert_int_equal(usage_of_quota(u, st->projects[p], KIND_INSTANCE).used, t.of_project[p]);
    for (int z = 0; z < ZONES; z++) {
        assert_int_equal(usage_of_capacity(u, zones[z], NULL).used, t.of_zone[z]);
        for (int k = 0; k < TYPES; k++)
            assert_int_equal(usage_of_capacity(u, zones[z], types[k]).used, t.of_place[z][k]);
    }
}

static void random_lives_are_counted_right(void **state)
{
    struct story st = {.s = *state, .seed = chosen_seed()};

    printf("SEED=%" PRIu64 "\n", st.seed);
    for (int p = 0; p < PROJECTS; p++) {
        if (p > 0) {
            struct change *c = request(st.s, project_create, NULL);
            c->project = 0;
            c->request.project_create.name = projects[p];
            accepted(st.s, c);
        }
        assert_int_equal(cloud_project(st.s->cloud, projects[p], &st.projects[p], NULL), 0);
    }
    takes(st.s, "instance.pending", NS_PER_S);
    takes(st.s, "instance.stopping", 2 * NS_PER_S);
    takes(st.s, "instance.terminating", NS_PER_S);
    for (int n = 0; n < STEPS; n++) {
        step(&st);
        check(&st);
    }
    act(st.s, project_delete, "team-a");
    assert_int_equal(used(st.s, st.projects[1], KIND_INSTANCE), 0);
    printf("%d steps, %" PRId64 " accepted, %" PRId64 " refused by a limit\n", STEPS, st.accepted,
           st.refused);
    assert_true(st.accepted > 0 && st.refused > 0);
}

// --- rates ---

static void limit_rate(struct sim *s, double rate, int64_t burst)
{
    struct change *c = request(s, quota_update, "default");

    c->request.quota.rates[RATE_WRITE] = (struct quota_rate){true, rate, burst};
    accepted(s, c);
}

static void a_bucket_refills_with_the_clock_of_the_cloud(void **state)
{
    struct sim *s = *state;
    struct rate_view view;
    struct error err = {0};

    assert_int_equal(cloud_rate_take(s->cloud, s->project, RATE_WRITE, &view, NULL), 0);
    assert_int_equal(view.limit, 0); // no limit: no headers
    limit_rate(s, 2, 3);
    for (int left = 2; left >= 0; left--) {
        assert_int_equal(cloud_rate_take(s->cloud, s->project, RATE_WRITE, &view, NULL), 0);
        assert_int_equal(view.remaining, left);
    }
    assert_int_equal(cloud_rate_take(s->cloud, s->project, RATE_WRITE, &view, &err),
                     -ERROR_THROTTLED);
    assert_int_equal(view.retry_after_ns, NS_PER_S / 2);
    assert_int_equal(cloud_rate_take(s->cloud, s->project, RATE_READ, &view, NULL), 0);
    advance(s, NS_PER_S / 2);
    assert_int_equal(cloud_rate_take(s->cloud, s->project, RATE_WRITE, &view, NULL), 0);
    assert_true(cloud_rate_take(s->cloud, s->project, RATE_WRITE, &view, NULL) < 0);
    limit_rate(s, 0, 0);
    assert_int_equal(cloud_rate_take(s->cloud, s->project, RATE_WRITE, &view, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, sim_setup, sim_teardown)
        TEST(a_batch_beyond_a_quota_is_undone_in_the_count_too),
        TEST(a_zone_that_is_full_names_zone_and_type),
        TEST(what_a_timer_brings_about_is_never_refused),
        TEST(cells_that_nobody_needs_are_given_back),
        TEST(random_lives_are_counted_right),
        TEST(a_bucket_refills_with_the_clock_of_the_cloud),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
