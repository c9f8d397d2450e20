// Target pools through the funnel: who is healthy, and what follows instances.
#include "sim/target_pool.h"
#include "tests/unit/sim_fixture.h"

#include <stdio.h>
#include <time.h>

#define A_WHILE (10 * NS_PER_S)

static struct change *with_targets(struct sim *s, change_apply *apply, const char *id,
                                   struct target_ref *refs, size_t count)
{
    struct change *c = request(s, apply, id);

    c->request.target_pool.has_targets = true;
    c->request.target_pool.targets = refs;
    c->request.target_pool.target_count = count;
    return c;
}

static char *create_pool(struct sim *s, struct target_ref *refs, size_t count)
{
    return strdup(text(accepted(s, with_targets(s, target_pool_create, NULL, refs, count)), "id"));
}

static struct change *removal(struct sim *s, const char *id, struct target_ref ref)
{
    struct change *c = request(s, target_pool_remove_target, id);

    c->request.target = ref;
    return c;
}

static size_t target_count(struct sim *s, const char *id)
{
    return json_array_size(json_object_get(look(s, KIND_TARGET_POOL, id), "targets"));
}

// "healthy", or "unhealthy instance-not-running"
static void assert_health(struct sim *s, const char *id, size_t n, const char *expected)
{
    json_t *targets = json_object_get(look(s, KIND_TARGET_POOL, id), "targets");
    json_t *target = json_array_get(targets, n);
    json_t *reason = json_object_get(target, "health_reason");
    char found[64];

    assert_non_null(target);
    snprintf(found, sizeof(found), "%s%s%s", text(target, "health"), reason ? " " : "",
             reason ? json_string_value(reason) : "");
    assert_string_equal(found, expected);
}

static void a_pool_shows_its_health_check_with_defaults(void **state)
{
    json_t *pool = act(*state, target_pool_create, NULL);
    char *check = json_dumps(json_object_get(pool, "health_check"), JSON_COMPACT);

    assert_string_equal(check, "{\"protocol\":\"none\",\"port\":0,\"path\":\"/\","
                               "\"interval_seconds\":10,\"timeout_seconds\":5,"
                               "\"healthy_threshold\":2,\"unhealthy_threshold\":2}");
    assert_null(json_object_get(pool, "state"));
    free(check);
}

static void tell(struct sim *s, change_apply *apply, const char *pool, struct target_ref ref)
{
    struct change *c = request(s, apply, pool);

    c->request.target = ref;
    accepted(s, c);
}

static void a_target_fails_its_check_until_it_is_healed_or_its_instance_comes_up(void **state)
{
    struct sim *s = *state;
    char *i = create_instance(s, NULL);
    struct target_ref refs[] = {{.address = "192.0.2.1"}, {.instance_id = i}};
    char *pool = create_pool(s, refs, 2);
    int64_t revision;

    for (size_t n = 0; n < 2; n++) {
        tell(s, target_pool_fail_target, pool, refs[n]);
        assert_health(s, pool, n, "unhealthy health-check-failed");
        tell(s, target_pool_heal_target, pool, refs[n]);
        assert_health(s, pool, n, "healthy");
    }
    tell(s, target_pool_fail_target, pool, refs[1]);
    act(s, instance_stop, i);
    assert_health(s, pool, 1, "unhealthy instance-not-running");
    revision = cloud_revision(s->cloud);
    tell(s, target_pool_heal_target, pool, refs[1]); // it is no check that fails
    tell(s, target_pool_fail_target, pool, refs[1]);
    assert_int_equal(cloud_revision(s->cloud), revision);
    act(s, instance_start, i);
    assert_health(s, pool, 1, "healthy");
    free(pool);
    free(i);
}

static void health_follows_the_instance(void **state)
{
    struct sim *s = *state;
    char *i = create_instance(s, NULL);
    struct target_ref refs[] = {{.address = "192.0.2.1"}, {.instance_id = i}};
    char *pool = create_pool(s, refs, 2);

    assert_health(s, pool, 0, "healthy");
    assert_health(s, pool, 1, "healthy");
    act(s, instance_stop, i);
    assert_health(s, pool, 1, "unhealthy instance-not-running");
    act(s, instance_start, i);
    assert_health(s, pool, 1, "healthy");
    act(s, instance_terminate, i);
    assert_health(s, pool, 1, "unhealthy instance-terminated");
    advance(s, 61 * NS_PER_S);
    assert_null(look(s, KIND_INSTANCE, i));
    assert_health(s, pool, 1, "unhealthy instance-terminated");
    assert_health(s, pool, 0, "healthy");
    free(i);
    free(pool);
}

static void a_new_target_is_initial_for_its_latency(void **state)
{
    struct sim *s = *state;
    char *running = create_instance(s, NULL), *stopped = create_instance(s, NULL);
    struct target_ref refs[] = {{.instance_id = running}, {.instance_id = stopped}};
    char *pool, *log;
    int64_t before;

    takes(s, "target.initial", A_WHILE);
    act(s, instance_stop, stopped);
    pool = create_pool(s, refs, 2);
    assert_health(s, pool, 0, "initial");
    assert_health(s, pool, 1, "initial");
    assert_non_null(json_object_get(s->document, "transition_at"));
    before = cloud_revision(s->cloud);
    advance(s, A_WHILE);
    assert_health(s, pool, 0, "healthy");
    assert_health(s, pool, 1, "unhealthy instance-not-running");
    assert_null(json_object_get(s->document, "transition_at"));
    log = event_log(s, before);
    assert_non_null(strstr(log, "{\"type\":\"timer\",\"operation\":\"target.initial\"}"));
    free(log);
    free(running);
    free(stopped);
    free(pool);
}

static void the_pool_is_due_with_the_first_of_its_targets(void **state)
{
    struct target_ref first = {.address = "192.0.2.1"}, second = {.address = "192.0.2.2"};
    struct sim *s = *state;
    char *pool;

    takes(s, "target.initial", A_WHILE);
    pool = create_pool(s, &first, 1);
    advance(s, A_WHILE / 2);
    accepted(s, with_targets(s, target_pool_add_targets, pool, &second, 1));
    advance(s, A_WHILE / 2);
    assert_health(s, pool, 0, "healthy");
    assert_health(s, pool, 1, "initial");
    advance(s, A_WHILE / 2);
    assert_health(s, pool, 1, "healthy");
    free(pool);
}

static void a_removed_target_drains_and_is_gone(void **state)
{
    struct target_ref refs[] = {{.address = "192.0.2.1"}, {.address = "192.0.2.2"}};
    struct sim *s = *state;
    char *pool = create_pool(s, refs, 2);
    int64_t before;

    takes(s, "target.draining", A_WHILE);
    accepted(s, removal(s, pool, refs[0]));
    assert_health(s, pool, 0, "draining");
    before = cloud_revision(s->cloud);
    accepted(s, removal(s, pool, refs[0])); // once more: nothing
    assert_int_equal(cloud_revision(s->cloud), before);
    advance(s, A_WHILE);
    assert_int_equal(target_count(s, pool), 1);
    assert_health(s, pool, 0, "healthy");
    refused(s, removal(s, pool, refs[0]), ERROR_NOT_FOUND, "", "192.0.2.1");
    takes(s, "target.draining", 0);
    assert_int_equal(
        json_array_size(json_object_get(accepted(s, removal(s, pool, refs[1])), "targets")), 0);
    free(pool);
}

static void a_draining_target_that_is_added_starts_anew(void **state)
{
    struct target_ref ref = {.address = "192.0.2.1"};
    struct sim *s = *state;
    char *pool = create_pool(s, &ref, 1);

    takes(s, "target.draining", A_WHILE);
    takes(s, "target.initial", A_WHILE);
    accepted(s, removal(s, pool, ref));
    accepted(s, with_targets(s, target_pool_add_targets, pool, &ref, 1));
    assert_health(s, pool, 0, "initial");
    assert_int_equal(target_count(s, pool), 1);
    advance(s, A_WHILE);
    assert_health(s, pool, 0, "healthy");
    free(pool);
}

static void replacing_targets_keeps_those_that_stay_and_drains_the_others(void **state)
{
    struct target_ref old[] = {{.address = "192.0.2.1"}, {.address = "192.0.2.2"}};
    struct target_ref new[] = {{.address = "192.0.2.3"}, {.address = "192.0.2.2"}};
    struct sim *s = *state;
    char *pool = create_pool(s, old, 2);
    int64_t before;

    takes(s, "target.draining", A_WHILE);
    takes(s, "target.initial", A_WHILE);
    accepted(s, with_targets(s, target_pool_update, pool, new, 2));
    assert_health(s, pool, 0, "draining");
    assert_health(s, pool, 1, "healthy");
    assert_health(s, pool, 2, "initial");
    before = cloud_revision(s->cloud);
    accepted(s, with_targets(s, target_pool_update, pool, new, 2));
    accepted(s, with_targets(s, target_pool_add_targets, pool, new, 1));
    assert_int_equal(cloud_revision(s->cloud), before);
    advance(s, A_WHILE);
    assert_int_equal(target_count(s, pool), 2);
    free(pool);
}

static void a_target_is_listed_once_and_exists(void **state)
{
    struct sim *s = *state;
    char *i = create_instance(s, NULL);
    struct target_ref twice[] = {{.instance_id = i}, {.address = "192.0.2.1"}, {.instance_id = i}};
    struct target_ref absent[] = {{.instance_id = i}, {.instance_id = "i-nope"}};

    refused(s, with_targets(s, target_pool_create, NULL, twice, 3), ERROR_INVALID, "targets[2]", i);
    refused(s, with_targets(s, target_pool_create, NULL, absent, 2), ERROR_INVALID,
            "targets[1].instance_id", "i-nope");
    act(s, instance_terminate, i);
    refused(s, with_targets(s, target_pool_create, NULL, absent, 1), ERROR_INVALID,
            "targets[0].instance_id", "terminated");
    free(i);
}

static void an_initial_target_learns_of_the_end_of_its_instance_at_once(void **state)
{
    struct sim *s = *state;
    char *i = create_instance(s, NULL), *pool;
    struct target_ref ref = {.instance_id = i};

    takes(s, "target.initial", A_WHILE);
    pool = create_pool(s, &ref, 1);
    act(s, instance_stop, i);
    assert_health(s, pool, 0, "initial");
    act(s, instance_terminate, i);
    assert_health(s, pool, 0, "unhealthy instance-terminated");
    assert_null(json_object_get(s->document, "transition_at"));
    free(i);
    free(pool);
}

static void the_health_check_and_the_name_can_be_changed(void **state)
{
    struct sim *s = *state;
    char *pool = create_pool(s, NULL, 0);
    int64_t before = cloud_revision(s->cloud);

    for (int n = 0; n < 2; n++) {
        struct change *c = request(s, target_pool_update, pool);

        c->request.target_pool.name = "web";
        c->request.target_pool.has_health_check = true;
        c->request.target_pool.health_check =
            (struct health_check){HEALTH_CHECK_HTTP, 8080, "/healthz", 5, 2, 1, 3};
        assert_string_equal(text(json_object_get(accepted(s, c), "health_check"), "protocol"),
                            "HTTP");
    }
    assert_int_equal(cloud_revision(s->cloud), before + 1);
    free(pool);
}

static void five_thousand_targets_are_edited_in_no_time(void **state)
{
    static char names[TARGETS_MAX + 1][32];
    static struct target_ref refs[TARGETS_MAX + 1];
    struct sim *s = *state;
    clock_t start = clock(); // of the processor: how long others hold it is not counted
    struct target_ref one;
    char *pool;

    for (int n = 0; n <= TARGETS_MAX; n++) {
        snprintf(names[n], sizeof(names[n]), "10.%d.%d.1", n / 256, n % 256);
        refs[n].address = names[n];
    }
    one = refs[TARGETS_MAX];
    pool = create_pool(s, refs, TARGETS_MAX);
    assert_int_equal(target_count(s, pool), TARGETS_MAX);
    refused(s, with_targets(s, target_pool_add_targets, pool, &one, 1), ERROR_INVALID, "targets",
            "at most 5000");
    accepted(s, with_targets(s, target_pool_update, pool, refs + 1, TARGETS_MAX));
    assert_int_equal(target_count(s, pool), TARGETS_MAX);
    accepted(s, removal(s, pool, refs[2500]));
    assert_int_equal(target_count(s, pool), TARGETS_MAX - 1);
    assert_true(clock() - start < 5 * CLOCKS_PER_SEC); // pairwise it would be minutes under ASan
    free(pool);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pool_shows_its_health_check_with_defaults),
        TEST(health_follows_the_instance),
        TEST(a_target_fails_its_check_until_it_is_healed_or_its_instance_comes_up),
        TEST(a_new_target_is_initial_for_its_latency),
        TEST(the_pool_is_due_with_the_first_of_its_targets),
        TEST(a_removed_target_drains_and_is_gone),
        TEST(a_draining_target_that_is_added_starts_anew),
        TEST(replacing_targets_keeps_those_that_stay_and_drains_the_others),
        TEST(a_target_is_listed_once_and_exists),
        TEST(an_initial_target_learns_of_the_end_of_its_instance_at_once),
        TEST(the_health_check_and_the_name_can_be_changed),
        TEST(five_thousand_targets_are_edited_in_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
