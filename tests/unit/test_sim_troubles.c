// What the simulation (tests/simulation) has found, one test each.
#include "sim/cloud_internal.h"
#include "store/internal.h"
#include "tests/simulation/disk.h"
#include "tests/unit/sim_fixture.h"

#include <errno.h>

static void the_next_deadline_is_of_what_is_left(void **state)
{
    struct sim *s = *state;
    char *first, *second;

    takes(s, "instance.pending", 10 * NS_PER_S);
    first = create_instance(s, "first");
    advance(s, NS_PER_S);
    second = create_instance(s, "second");
    assert_int_equal(cloud_clock(s->cloud).next_deadline_ns, CLOCK_MANUAL_START + 10 * NS_PER_S);
    takes(s, "instance.terminated", 0);
    act(s, instance_terminate, first);
    assert_int_equal(cloud_clock(s->cloud).next_deadline_ns, CLOCK_MANUAL_START + 11 * NS_PER_S);
    act(s, instance_terminate, second);
    assert_int_equal(cloud_clock(s->cloud).next_deadline_ns, 0);
    free(first);
    free(second);
}

static void fails_for_storage(struct sim *s, struct clock_change what)
{
    struct change *c = clock_change_new(&what, "clock");

    disk_order(DISK_STAYS_FULL, 0, ENOSPC);
    assert_int_equal(cloud_apply(s->cloud, c), -ERROR_STORAGE);
    assert_true(disk_was_hit());
    disk_heal();
    change_free(c);
}

static void an_advance_that_could_not_be_written_leaves_the_clock_where_it_was(void **state)
{
    struct sim *s = *state;
    char *id;

    takes(s, "instance.pending", 10 * NS_PER_S);
    id = create_instance(s, NULL);
    fails_for_storage(s, (struct clock_change){.action = CLOCK_ADVANCE_BY, .ns = 20 * NS_PER_S});
    assert_int_equal(cloud_now(s->cloud), CLOCK_MANUAL_START);
    assert_state(s, KIND_INSTANCE, id, "pending");
    advance(s, 10 * NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "running");
    free(id);
}

static void a_speed_that_could_not_be_written_leaves_a_manual_clock_manual(void **state)
{
    struct sim *s = *state;

    fails_for_storage(s, (struct clock_change){.action = CLOCK_SET_SCALE, .scale = 60});
    assert_int_equal(cloud_clock(s->cloud).mode, CLOCK_MANUAL);
    assert_int_equal(cloud_now(s->cloud), CLOCK_MANUAL_START);
    assert_false(cloud_clock(s->cloud).frozen);
}

static void a_stopped_instance_can_be_terminated_however_full_its_zone_is(void **state)
{
    struct sim *s = *state;
    char *stopped = create_instance(s, "stopped"), *other;
    struct change *c;

    takes(s, "instance.terminating", NS_PER_S);
    act(s, instance_stop, stopped);
    other = create_instance(s, "other");
    c = request(s, zone_put, "mock-1a");
    c->request.zone =
        (struct zone_spec){.region = "mock-1", .has_capacity_total = true, .capacity_total = 1};
    accepted(s, c);
    refused(s, request(s, instance_start, stopped), ERROR_CAPACITY, "zone", "no capacity");
    act(s, instance_terminate, stopped);
    act(s, instance_terminate, other);
    free(create_instance(s, "third")); // who terminates has left
    free(stopped);
    free(other);
}

static void what_goes_with_its_project_is_last_shown_as_it_was(void **state)
{
    struct sim *s = *state;
    int64_t own = s->project;
    struct change *c = request(s, project_create, NULL);
    char *log;

    c->request.project_create.name = "blue";
    accepted(s, c);
    assert_int_equal(cloud_project(s->cloud, "blue", &s->project, NULL), 0);
    free(create_instance(s, NULL));
    s->project = own;
    int64_t before = cloud_revision(s->cloud);
    accepted(s, request(s, project_delete, "blue"));
    log = event_log(s, before);
    assert_non_null(strstr(log, "\"type\":\"deleted\""));
    assert_non_null(strstr(log, "\"state\":\"running\""));
    free(log);
}

static void damage(struct sim *s, const char *id)
{
    char sql[160];

    snprintf(sql, sizeof(sql), "UPDATE instance SET record = x'ffff' WHERE id = '%s'", id);
    assert_int_equal(connection_exec(&s->cloud->store->c, sql, NULL), 0);
}

// Many fire in one savepoint: one that fails takes none of the others with it.
static void a_transition_that_fails_is_put_off_and_the_others_fire_once_in_their_order(void **state)
{
    struct sim *s = *state;
    char *ids[100];
    int64_t before;
    char *log;

    takes(s, "instance.pending", 10 * NS_PER_S);
    for (int n = 0; n < 100; n++) {
        ids[n] = create_instance(s, NULL);
        advance(s, NS_PER_MS);
    }
    damage(s, ids[70]);
    before = cloud_revision(s->cloud);
    log_setup(LOG_TEXT, (enum log_level)(LOG_ERROR + 1));
    advance(s, 10 * NS_PER_S);
    log_setup(LOG_TEXT, LOG_ERROR);
    assert_int_equal(count_events(s, before), 99 + 1); // and the clock
    log = event_log(s, before);
    const char *at = log;
    for (int n = 0; n < 100; n++) {
        if (n != 70)
            assert_non_null(at = strstr(at, ids[n]));
        free(ids[n]);
    }
    assert_int_equal(cloud_now(s->cloud), CLOCK_MANUAL_START + 10 * NS_PER_S + 100 * NS_PER_MS);
    assert_true(cloud_clock(s->cloud).next_deadline_ns > CLOCK_MANUAL_START + 10 * NS_PER_S);
    free(log);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_next_deadline_is_of_what_is_left),
        TEST(an_advance_that_could_not_be_written_leaves_the_clock_where_it_was),
        TEST(a_stopped_instance_can_be_terminated_however_full_its_zone_is),
        TEST(what_goes_with_its_project_is_last_shown_as_it_was),
        TEST(a_transition_that_fails_is_put_off_and_the_others_fire_once_in_their_order),
        TEST(a_speed_that_could_not_be_written_leaves_a_manual_clock_manual),
    };

    disk_install(false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
