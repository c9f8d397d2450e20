// Instances with a backend: the outbox, what is reported, what is seen.
#include "fake_backend.h"

#include <unistd.h>

struct world {
    struct sim sim;
    struct fake fake;
};

static void adopt(struct sim *s, const char *name)
{
    struct change *c = request(s, cluster_create, NULL);

    c->request.cluster =
        (struct cluster_spec){.name = name, .protect_control_plane = true, .program_routes = true};
    accepted(s, c);
}

static int setup(void **state)
{
    struct world *w = malloc(sizeof(*w));

    sim_open(&w->sim, 1);
    fake_init(&w->fake);
    fake_attach(&w->fake, w->sim.cloud);
    adopt(&w->sim, "c1");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    cloud_backend_detach(w->sim.cloud);
    sim_close(&w->sim);
    free(w);
    return 0;
}

static struct change *creation(struct sim *s, const char *name, enum provision provision)
{
    struct change *c = request(s, instance_create, NULL);

    c->request.instance.name = name;
    c->request.instance.backend = BACKEND_DOCKER;
    c->request.instance.container.cluster = "c1";
    c->request.instance.container.provision = provision;
    return c;
}

static char *create(struct sim *s, const char *name, enum provision provision)
{
    return strdup(text(accepted(s, creation(s, name, provision)), "id"));
}

static void await_state(struct sim *s, const char *id, const char *state)
{
    int64_t seen = 0, end = clock_monotonic() + 20 * NS_PER_S;

    for (;;) {
        const char *now;

        seen = cloud_revision(s->cloud);
        now = text(look(s, KIND_INSTANCE, id), "state");
        if (strcmp(now, state) == 0)
            return;
        if (clock_monotonic() > end)
            fail_msg("%s is %s, not %s", id, now, state);
        cloud_wait_revision(s->cloud, seen, end);
    }
}

static const char *reason(struct sim *s, const char *id, const char *key)
{
    json_t *why = json_object_get(look(s, KIND_INSTANCE, id), "state_reason");

    return why ? text(why, key) : "";
}

static void make_three(struct world *w)
{
    fake_set(&w->fake, "c1-control-plane", CONTAINER_RUNNING);
    fake_set(&w->fake, "c1-worker", CONTAINER_RUNNING);
    fake_set(&w->fake, "c1-worker2", CONTAINER_RUNNING);
    fake_report(&w->fake, w->sim.cloud, "c1", 0);
}

static char *id_of(struct sim *s, const char *name)
{
    struct list_query query = {.kind = KIND_INSTANCE, .name = name, .states = 0xbf, .limit = 1};
    struct buffer out;
    int64_t next, revision;
    size_t count;
    char *id;

    buffer_init(&out);
    assert_int_equal(cloud_list(s->cloud, &query, &out, &count, &next, &revision, NULL), 0);
    assert_int_equal(count, 1);
    json_t *document = json_loadb(out.data, out.length, 0, NULL);
    id = strdup(text(document, "id"));
    json_decref(document);
    buffer_fini(&out);
    return id;
}

// --- effects ---

static void an_instance_runs_when_its_backend_says_so(void **state)
{
    struct world *w = *state;
    char *id;

    fake_order(&w->fake, true, ERROR_NONE);
    id = create(&w->sim, "n1", PROVISION_JOIN);
    fake_await(&w->fake, EFFECT_CREATE, 1);
    assert_state(&w->sim, KIND_INSTANCE, id, "pending");
    fake_order(&w->fake, false, ERROR_NONE);
    await_state(&w->sim, id, "running");
    act(&w->sim, instance_stop, id);
    await_state(&w->sim, id, "stopped");
    assert_string_equal(reason(&w->sim, id, "code"), "user-request");
    act(&w->sim, instance_start, id);
    await_state(&w->sim, id, "running");
    act(&w->sim, instance_reboot, id);
    await_state(&w->sim, id, "running");
    act(&w->sim, instance_terminate, id);
    await_state(&w->sim, id, "terminated");
    assert_int_equal(w->fake.runs[EFFECT_REMOVE], 1);
    free(id);
}

static void an_effect_that_fails_is_retried_until_it_is_done(void **state)
{
    struct world *w = *state;
    char *id;

    fake_order(&w->fake, false, ERROR_UNAVAILABLE);
    id = create(&w->sim, "n1", PROVISION_JOIN);
    fake_await(&w->fake, EFFECT_CREATE, 2);
    assert_state(&w->sim, KIND_INSTANCE, id, "pending");
    assert_string_equal(reason(&w->sim, id, "code"), "backend-retry");
    fake_order(&w->fake, false, ERROR_NONE);
    await_state(&w->sim, id, "running");
    assert_string_equal(reason(&w->sim, id, "code"), "");
    free(id);
}

static void an_effect_that_can_never_be_done_ends_in_error(void **state)
{
    struct world *w = *state;
    char *id;

    fake_order(&w->fake, false, ERROR_INVALID);
    id = create(&w->sim, "n1", PROVISION_JOIN);
    await_state(&w->sim, id, "error");
    assert_string_equal(reason(&w->sim, id, "message"), "the fake was told to refuse");
    fake_order(&w->fake, false, ERROR_NONE);
    act(&w->sim, instance_terminate, id);
    await_state(&w->sim, id, "terminated");
    free(id);
}

static void what_is_not_done_in_time_ends_in_error_and_can_still_be_terminated(void **state)
{
    struct world *w = *state;
    char *id;

    fake_order(&w->fake, false, ERROR_UNAVAILABLE);
    id = create(&w->sim, "n1", PROVISION_JOIN);
    fake_await(&w->fake, EFFECT_CREATE, 1);
    advance(&w->sim, 599 * NS_PER_S);
    assert_state(&w->sim, KIND_INSTANCE, id, "pending");
    advance(&w->sim, 1 * NS_PER_S);
    assert_state(&w->sim, KIND_INSTANCE, id, "error");
    assert_string_equal(reason(&w->sim, id, "code"), "backend-timeout");
    fake_order(&w->fake, false, ERROR_NONE);
    act(&w->sim, instance_terminate, id);
    await_state(&w->sim, id, "terminated");
    free(id);
}

static void a_later_wish_takes_the_place_of_an_earlier_one(void **state)
{
    struct world *w = *state;
    char *id;

    fake_order(&w->fake, true, ERROR_NONE);
    id = create(&w->sim, "n1", PROVISION_JOIN);
    fake_await(&w->fake, EFFECT_CREATE, 1);
    act(&w->sim, instance_terminate, id);
    assert_state(&w->sim, KIND_INSTANCE, id, "terminating");
    fake_order(&w->fake, false, ERROR_NONE);
    await_state(&w->sim, id, "terminated");
    assert_int_equal(w->fake.runs[EFFECT_REMOVE], 1);
    free(id);
}

static void effects_wait_in_the_outbox_for_a_backend_and_outlive_the_server(void **state)
{
    char directory[] = "/tmp/mockcloud-outbox-XXXXXX", path[64];
    struct cloud_config config = {.store = {.path = path},
                                  .clock = {.mode = CLOCK_MANUAL, .cloud_ns = CLOCK_MANUAL_START},
                                  .seed = 1};
    struct sim s = {0};
    struct fake fake;
    char *id;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/c.db", directory);
    fake_init(&fake);
    assert_int_equal(cloud_open(&config, &s.cloud, NULL), 0);
    assert_int_equal(cloud_project(s.cloud, "default", &s.project, NULL), 0);
    fake_attach(&fake, s.cloud);
    adopt(&s, "c1");
    fake_order(&fake, true, ERROR_NONE);
    id = create(&s, "n1", PROVISION_JOIN);
    fake_await(&fake, EFFECT_CREATE, 1);
    sim_close(&s); // while it is running

    s = (struct sim){0};
    fake_order(&fake, false, ERROR_NONE);
    assert_int_equal(cloud_open(&config, &s.cloud, NULL), 0);
    assert_int_equal(cloud_project(s.cloud, "default", &s.project, NULL), 0);
    assert_state(&s, KIND_INSTANCE, id, "pending");
    fake_attach(&fake, s.cloud);
    await_state(&s, id, "running");
    assert_int_equal(fake.runs[EFFECT_CREATE], 2);
    sim_close(&s);
    unlink(path);
    rmdir(directory);
    free(id);
}

// --- reports ---

static void the_containers_of_a_cluster_become_instances_spread_over_the_zones(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"c1-control-plane", "c1-worker", "c1-worker2"};
    static const char *const zones[] = {"mock-1a", "mock-1b", "mock-1c"};

    make_three(w);
    for (size_t n = 0; n < 3; n++) {
        char *id = id_of(&w->sim, names[n]);
        json_t *i = look(&w->sim, KIND_INSTANCE, id);

        assert_string_equal(text(i, "state"), "running");
        assert_string_equal(text(i, "zone"), zones[n]);
        assert_string_equal(text(json_object_get(i, "tags"), "mockcloud/cluster"), "c1");
        assert_string_equal(text(json_object_get(i, "container"), "role"),
                            n == 0 ? "control-plane" : "worker");
        free(id);
    }
}

static void a_report_that_says_nothing_new_changes_nothing(void **state)
{
    struct world *w = *state;
    int64_t before;

    make_three(w);
    before = cloud_revision(w->sim.cloud);
    fake_report(&w->fake, w->sim.cloud, "c1", 0);
    assert_int_equal(cloud_revision(w->sim.cloud), before);
}

static void what_happens_to_a_container_happens_to_its_instance(void **state)
{
    struct world *w = *state;
    char *id;

    make_three(w);
    id = id_of(&w->sim, "c1-worker");
    fake_set(&w->fake, "c1-worker", CONTAINER_STOPPED);
    fake_report(&w->fake, w->sim.cloud, "c1", 0);
    assert_state(&w->sim, KIND_INSTANCE, id, "stopped");
    assert_string_equal(reason(&w->sim, id, "code"), "container-stopped");
    fake_set(&w->fake, "c1-worker", CONTAINER_RUNNING);
    fake_report(&w->fake, w->sim.cloud, "c1", 0);
    assert_state(&w->sim, KIND_INSTANCE, id, "running");
    assert_string_equal(reason(&w->sim, id, "code"), "");
    fake_set(&w->fake, "c1-worker", CONTAINER_ABSENT);
    fake_report(&w->fake, w->sim.cloud, "c1", 0);
    assert_state(&w->sim, KIND_INSTANCE, id, "terminated");
    assert_string_equal(reason(&w->sim, id, "code"), "container-removed");
    free(id);
}

static void an_old_report_does_not_undo_a_newer_change(void **state)
{
    struct world *w = *state;
    int64_t before;
    char *id;

    make_three(w);
    id = id_of(&w->sim, "c1-worker");
    before = cloud_revision(w->sim.cloud);
    act(&w->sim, instance_stop, id);
    await_state(&w->sim, id, "stopped");
    fake_set(&w->fake, "c1-worker", CONTAINER_RUNNING); // as it was at `before`
    assert_true(fake_report(&w->fake, w->sim.cloud, "c1", before));
    assert_state(&w->sim, KIND_INSTANCE, id, "stopped");
    free(id);
}

static void an_awaited_instance_keeps_its_id_when_its_container_comes(void **state)
{
    struct world *w = *state;
    char *id = create(&w->sim, "c1-worker", PROVISION_ADOPT);

    fake_report(&w->fake, w->sim.cloud, "c1", 0);
    assert_state(&w->sim, KIND_INSTANCE, id, "pending");
    make_three(w);
    assert_state(&w->sim, KIND_INSTANCE, id, "running");
    assert_int_equal(w->fake.runs[EFFECT_CREATE], 0);
    free(id);
}

static void a_control_plane_is_protected_unless_forced(void **state)
{
    struct world *w = *state;
    struct change *c;
    char *id;

    make_three(w);
    id = id_of(&w->sim, "c1-control-plane");
    refused(&w->sim, request(&w->sim, instance_terminate, id), ERROR_IN_USE, "", "protected");
    c = request(&w->sim, instance_terminate, id);
    c->request.action.force = true;
    accepted(&w->sim, c);
    await_state(&w->sim, id, "terminated");
    free(id);
}

static void an_engine_that_is_away_changes_no_instance(void **state)
{
    struct world *w = *state;
    struct cluster_report report = {.cluster = "c1", .unreachable = "nobody answers"};
    bool stale;
    char *id;

    make_three(w);
    id = id_of(&w->sim, "c1-worker");
    report.as_of = cloud_revision(w->sim.cloud);
    assert_int_equal(cloud_report_cluster(w->sim.cloud, &report, &stale, NULL), 0);
    assert_state(&w->sim, KIND_INSTANCE, id, "running");
    assert_state(&w->sim, KIND_CLUSTER, "c1", "unreachable");
    fake_report(&w->fake, w->sim.cloud, "c1", 0);
    assert_state(&w->sim, KIND_CLUSTER, "c1", "active");
    free(id);
}

static void a_forgotten_cluster_leaves_the_containers_alone(void **state)
{
    struct world *w = *state;
    char *id;

    make_three(w);
    id = id_of(&w->sim, "c1-worker");
    act(&w->sim, cluster_delete, "c1");
    assert_state(&w->sim, KIND_INSTANCE, id, "terminated");
    assert_int_equal(w->fake.runs[EFFECT_REMOVE], 0);
    adopt(&w->sim, "c1");
    fake_report(&w->fake, w->sim.cloud, "c1", 0);
    free(id);
    id = id_of(&w->sim, "c1-worker");
    assert_state(&w->sim, KIND_INSTANCE, id, "running");
    free(id);
}

static void bad_requests_name_the_field(void **state)
{
    struct world *w = *state;
    struct change *c = creation(&w->sim, "n1", PROVISION_JOIN);

    c->request.instance.container.cluster = NULL;
    refused(&w->sim, c, ERROR_INVALID, "container.cluster", "needs a cluster");
    c = creation(&w->sim, "n1", PROVISION_JOIN);
    c->request.instance.container.cluster = "other";
    refused(&w->sim, c, ERROR_INVALID, "container.cluster", "not been adopted");
    c = creation(&w->sim, "n1", PROVISION_JOIN);
    c->request.instance.container.role = ROLE_CONTROL_PLANE;
    refused(&w->sim, c, ERROR_INVALID, "container.role", "only workers can join");
}

static void instances_without_a_backend_write_no_effects(void **state)
{
    struct world *w = *state;
    char *id = create_instance(&w->sim, "plain");

    act(&w->sim, instance_stop, id);
    act(&w->sim, instance_start, id);
    act(&w->sim, instance_terminate, id);
    assert_state(&w->sim, KIND_INSTANCE, id, "terminated");
    for (size_t n = 0; n < EFFECT_ACTIONS; n++)
        assert_int_equal(w->fake.runs[n], 0);
    free(id);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_instance_runs_when_its_backend_says_so),
        TEST(an_effect_that_fails_is_retried_until_it_is_done),
        TEST(an_effect_that_can_never_be_done_ends_in_error),
        TEST(what_is_not_done_in_time_ends_in_error_and_can_still_be_terminated),
        TEST(a_later_wish_takes_the_place_of_an_earlier_one),
        cmocka_unit_test(effects_wait_in_the_outbox_for_a_backend_and_outlive_the_server),
        TEST(the_containers_of_a_cluster_become_instances_spread_over_the_zones),
        TEST(a_report_that_says_nothing_new_changes_nothing),
        TEST(what_happens_to_a_container_happens_to_its_instance),
        TEST(an_old_report_does_not_undo_a_newer_change),
        TEST(an_awaited_instance_keeps_its_id_when_its_container_comes),
        TEST(a_control_plane_is_protected_unless_forced),
        TEST(an_engine_that_is_away_changes_no_instance),
        TEST(a_forgotten_cluster_leaves_the_containers_alone),
        TEST(bad_requests_name_the_field),
        TEST(instances_without_a_backend_write_no_effects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
