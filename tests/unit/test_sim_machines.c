// The state machines against their diagrams: every state × event pair.
#include "sim/instance.h"
#include "sim/load_balancer.h"
#include "sim/names.h"
#include "sim/route.h"
#include "sim/target_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct arrow { // of a diagram
    int from;
    int event;
    int to;
};

static int arrow_to(const struct arrow *arrows, size_t count, int from, int event)
{
    for (size_t n = 0; n < count; n++) {
        if (arrows[n].from == from && arrows[n].event == event)
            return arrows[n].to;
    }
    return MACHINE_REFUSED;
}

// Every pair does what the arrows say, and whatever has no arrow is refused, *out untouched.
static void check(const struct machine *m, const struct arrow *arrows, size_t count)
{
    int pairs = 0;

    for (int state = 0; state < m->states; state++) {
        for (int event = 0; event < m->events; event++, pairs++) {
            int expected = arrow_to(arrows, count, state, event);
            int next = -7;
            int rc = machine_step(m, state, event, &next);

            if (rc != (expected == MACHINE_REFUSED ? -ERROR_STATE : 0) ||
                next != (expected == MACHINE_REFUSED ? -7 : expected))
                fail_msg("%s %s, event %d: got %d, the diagram says %d", m->noun,
                         m->state_names[state], event, next, expected);
        }
    }
    printf("%s: %d pairs of state and event, %zu arrows\n", m->noun, pairs, count);
    assert_int_equal(pairs, m->states * m->events);
    assert_true(pairs > 0 && count > 0);
}

#define CHECK(m, arrows) check(&(m), arrows, sizeof(arrows) / sizeof((arrows)[0]))

static void an_instance_moves_along_its_diagram_and_nowhere_else(void **unused)
{
    static const struct arrow arrows[] = {
        {INSTANCE_PENDING, INSTANCE_DEADLINE, INSTANCE_RUNNING},
        {INSTANCE_RUNNING, INSTANCE_STOP, INSTANCE_STOPPING},
        {INSTANCE_STOPPING, INSTANCE_DEADLINE, INSTANCE_STOPPED},
        {INSTANCE_STOPPED, INSTANCE_START, INSTANCE_PENDING},
        {INSTANCE_RUNNING, INSTANCE_REBOOT, INSTANCE_REBOOTING},
        {INSTANCE_REBOOTING, INSTANCE_DEADLINE, INSTANCE_RUNNING},

        {INSTANCE_PENDING, INSTANCE_TERMINATE, INSTANCE_TERMINATING},
        {INSTANCE_RUNNING, INSTANCE_TERMINATE, INSTANCE_TERMINATING},
        {INSTANCE_STOPPING, INSTANCE_TERMINATE, INSTANCE_TERMINATING},
        {INSTANCE_STOPPED, INSTANCE_TERMINATE, INSTANCE_TERMINATING},
        {INSTANCE_REBOOTING, INSTANCE_TERMINATE, INSTANCE_TERMINATING},
        {INSTANCE_ERROR, INSTANCE_TERMINATE, INSTANCE_TERMINATING},
        {INSTANCE_TERMINATING, INSTANCE_DEADLINE, INSTANCE_TERMINATED},
        {INSTANCE_TERMINATED, INSTANCE_DEADLINE, INSTANCE_GONE},
        {INSTANCE_TERMINATING, INSTANCE_TERMINATE, INSTANCE_TERMINATING},
        {INSTANCE_TERMINATED, INSTANCE_TERMINATE, INSTANCE_TERMINATED},

        {INSTANCE_PENDING, INSTANCE_OUTAGE, INSTANCE_STOPPED},
        {INSTANCE_RUNNING, INSTANCE_OUTAGE, INSTANCE_STOPPED},
        {INSTANCE_REBOOTING, INSTANCE_OUTAGE, INSTANCE_STOPPED},
        {INSTANCE_STOPPED, INSTANCE_RECOVER, INSTANCE_PENDING},
        {INSTANCE_ERROR, INSTANCE_RECOVER, INSTANCE_PENDING},

        {INSTANCE_PENDING, INSTANCE_FAIL, INSTANCE_ERROR},
        {INSTANCE_RUNNING, INSTANCE_FAIL, INSTANCE_ERROR},
        {INSTANCE_STOPPING, INSTANCE_FAIL, INSTANCE_ERROR},
        {INSTANCE_STOPPED, INSTANCE_FAIL, INSTANCE_ERROR},
        {INSTANCE_REBOOTING, INSTANCE_FAIL, INSTANCE_ERROR},
        {INSTANCE_TERMINATING, INSTANCE_FAIL, INSTANCE_ERROR},
        {INSTANCE_PENDING, INSTANCE_UP, INSTANCE_RUNNING},
        {INSTANCE_RUNNING, INSTANCE_UP, INSTANCE_RUNNING},
        {INSTANCE_STOPPING, INSTANCE_UP, INSTANCE_STOPPING},
        {INSTANCE_STOPPED, INSTANCE_UP, INSTANCE_RUNNING},
        {INSTANCE_REBOOTING, INSTANCE_UP, INSTANCE_RUNNING},
        {INSTANCE_TERMINATING, INSTANCE_UP, INSTANCE_TERMINATING},
        {INSTANCE_TERMINATED, INSTANCE_UP, INSTANCE_TERMINATED},
        {INSTANCE_ERROR, INSTANCE_UP, INSTANCE_RUNNING},
        {INSTANCE_PENDING, INSTANCE_DOWN, INSTANCE_STOPPED},
        {INSTANCE_RUNNING, INSTANCE_DOWN, INSTANCE_STOPPED},
        {INSTANCE_STOPPING, INSTANCE_DOWN, INSTANCE_STOPPED},
        {INSTANCE_STOPPED, INSTANCE_DOWN, INSTANCE_STOPPED},
        {INSTANCE_REBOOTING, INSTANCE_DOWN, INSTANCE_STOPPED},
        {INSTANCE_ERROR, INSTANCE_DOWN, INSTANCE_STOPPED},
        {INSTANCE_TERMINATING, INSTANCE_DOWN, INSTANCE_TERMINATED},
        {INSTANCE_TERMINATED, INSTANCE_DOWN, INSTANCE_TERMINATED},
        {INSTANCE_PENDING, INSTANCE_LOST, INSTANCE_TERMINATED},
        {INSTANCE_RUNNING, INSTANCE_LOST, INSTANCE_TERMINATED},
        {INSTANCE_STOPPING, INSTANCE_LOST, INSTANCE_TERMINATED},
        {INSTANCE_STOPPED, INSTANCE_LOST, INSTANCE_TERMINATED},
        {INSTANCE_REBOOTING, INSTANCE_LOST, INSTANCE_TERMINATED},
        {INSTANCE_ERROR, INSTANCE_LOST, INSTANCE_TERMINATED},
        {INSTANCE_TERMINATING, INSTANCE_LOST, INSTANCE_TERMINATED},
        {INSTANCE_TERMINATED, INSTANCE_LOST, INSTANCE_TERMINATED},
    };

    (void)unused;
    CHECK(instance_machine, arrows);
}

static void a_load_balancer_moves_along_its_diagram_and_nowhere_else(void **unused)
{
    static const struct arrow arrows[] = {
        {LB_PROVISIONING, LB_DEADLINE, LB_ACTIVE}, {LB_ACTIVE, LB_UPDATE, LB_UPDATING},
        {LB_UPDATING, LB_DEADLINE, LB_ACTIVE},     {LB_UPDATING, LB_UPDATE, LB_UPDATING},
        {LB_ERROR, LB_UPDATE, LB_UPDATING},

        {LB_PROVISIONING, LB_DELETE, LB_DELETING}, {LB_ACTIVE, LB_DELETE, LB_DELETING},
        {LB_UPDATING, LB_DELETE, LB_DELETING},     {LB_ERROR, LB_DELETE, LB_DELETING},
        {LB_DELETING, LB_DELETE, LB_DELETING},     {LB_DELETING, LB_DEADLINE, LB_DELETED},

        {LB_PROVISIONING, LB_FAIL, LB_ERROR},      {LB_ACTIVE, LB_FAIL, LB_ERROR},
        {LB_UPDATING, LB_FAIL, LB_ERROR},          {LB_DELETING, LB_FAIL, LB_ERROR},
    };

    (void)unused;
    CHECK(load_balancer_machine, arrows);
}

static void a_route_moves_along_its_diagram_and_nowhere_else(void **unused)
{
    static const struct arrow arrows[] = {
        {ROUTE_PENDING, ROUTE_DEADLINE, ROUTE_ACTIVE},
        {ROUTE_ACTIVE, ROUTE_DOWN, ROUTE_BLACKHOLE},
        {ROUTE_BLACKHOLE, ROUTE_UP, ROUTE_ACTIVE},

        {ROUTE_PENDING, ROUTE_UP, ROUTE_PENDING},
        {ROUTE_PENDING, ROUTE_DOWN, ROUTE_PENDING},
        {ROUTE_ACTIVE, ROUTE_UP, ROUTE_ACTIVE},
        {ROUTE_BLACKHOLE, ROUTE_DOWN, ROUTE_BLACKHOLE},
        {ROUTE_DELETING, ROUTE_UP, ROUTE_DELETING},
        {ROUTE_DELETING, ROUTE_DOWN, ROUTE_DELETING},

        {ROUTE_PENDING, ROUTE_UPDATE, ROUTE_PENDING},
        {ROUTE_ACTIVE, ROUTE_UPDATE, ROUTE_ACTIVE},
        {ROUTE_BLACKHOLE, ROUTE_UPDATE, ROUTE_BLACKHOLE},

        {ROUTE_PENDING, ROUTE_DELETE, ROUTE_DELETING},
        {ROUTE_ACTIVE, ROUTE_DELETE, ROUTE_DELETING},
        {ROUTE_BLACKHOLE, ROUTE_DELETE, ROUTE_DELETING},
        {ROUTE_DELETING, ROUTE_DELETE, ROUTE_DELETING},
        {ROUTE_DELETING, ROUTE_DEADLINE, ROUTE_DELETED},
    };

    (void)unused;
    CHECK(route_machine, arrows);
}

static void a_target_moves_along_its_diagram_and_nowhere_else(void **unused)
{
    static const struct arrow arrows[] = {
        {TARGET_INITIAL, TARGET_DEADLINE, TARGET_HEALTHY},
        {TARGET_INITIAL, TARGET_LOST, TARGET_UNHEALTHY},
        {TARGET_HEALTHY, TARGET_DOWN, TARGET_UNHEALTHY},
        {TARGET_HEALTHY, TARGET_LOST, TARGET_UNHEALTHY},
        {TARGET_HEALTHY, TARGET_FAIL, TARGET_UNHEALTHY},
        {TARGET_UNHEALTHY, TARGET_UP, TARGET_HEALTHY},

        {TARGET_INITIAL, TARGET_UP, TARGET_INITIAL},
        {TARGET_INITIAL, TARGET_DOWN, TARGET_INITIAL},
        {TARGET_INITIAL, TARGET_ADD, TARGET_INITIAL},
        {TARGET_HEALTHY, TARGET_UP, TARGET_HEALTHY},
        {TARGET_HEALTHY, TARGET_ADD, TARGET_HEALTHY},
        {TARGET_UNHEALTHY, TARGET_DOWN, TARGET_UNHEALTHY},
        {TARGET_UNHEALTHY, TARGET_LOST, TARGET_UNHEALTHY},
        {TARGET_UNHEALTHY, TARGET_ADD, TARGET_UNHEALTHY},

        {TARGET_INITIAL, TARGET_REMOVE, TARGET_DRAINING},
        {TARGET_HEALTHY, TARGET_REMOVE, TARGET_DRAINING},
        {TARGET_UNHEALTHY, TARGET_REMOVE, TARGET_DRAINING},
        {TARGET_DRAINING, TARGET_REMOVE, TARGET_DRAINING},
        {TARGET_DRAINING, TARGET_UP, TARGET_DRAINING},
        {TARGET_DRAINING, TARGET_DOWN, TARGET_DRAINING},
        {TARGET_DRAINING, TARGET_LOST, TARGET_DRAINING},
        {TARGET_DRAINING, TARGET_ADD, TARGET_INITIAL},
        {TARGET_DRAINING, TARGET_DEADLINE, TARGET_GONE},
    };

    (void)unused;
    CHECK(target_machine, arrows);
}

static void check_timers(const struct machine *m)
{
    for (int state = 0; state < m->states; state++) {
        int next;
        int rc = machine_step(m, state, m->deadline, &next);

        assert_int_equal(rc == 0, m->timers[state] != NULL);
        assert_non_null(m->state_names[state]);
        if (m->timers[state])
            assert_non_null(strstr(m->timers[state], m->state_names[state]));
    }
}

static void just_the_states_with_a_timer_take_a_deadline(void **unused)
{
    (void)unused;
    check_timers(&instance_machine);
    check_timers(&load_balancer_machine);
    check_timers(&route_machine);
    check_timers(&target_machine);
}

// Following deadlines alone, every machine comes to rest: passing through cannot go on for ever.
static void deadlines_alone_never_go_in_circles(void **unused)
{
    static const struct machine *const all[] = {&instance_machine, &load_balancer_machine,
                                                &route_machine, &target_machine};

    (void)unused;
    for (size_t n = 0; n < sizeof(all) / sizeof(all[0]); n++) {
        for (int start = 0; start < all[n]->states; start++) {
            int state = start, steps = 0;

            while (state != all[n]->gone && state < all[n]->states && all[n]->timers[state]) {
                assert_int_equal(machine_step(all[n], state, all[n]->deadline, &state), 0);
                assert_true(++steps <= all[n]->states);
            }
        }
    }
}

static void the_typed_steps_agree_with_the_tables(void **unused)
{
    enum instance_state instance = INSTANCE_ERROR;
    enum load_balancer_state lb;
    enum route_state route;
    enum target_health health;

    (void)unused;
    assert_int_equal(instance_step(INSTANCE_STOPPED, INSTANCE_REBOOT, &instance), -ERROR_STATE);
    assert_int_equal(instance, INSTANCE_ERROR);
    assert_int_equal(instance_step(INSTANCE_STOPPED, INSTANCE_START, &instance), 0);
    assert_int_equal(instance, INSTANCE_PENDING);
    assert_int_equal(load_balancer_step(LB_ACTIVE, LB_UPDATE, &lb), 0);
    assert_int_equal(lb, LB_UPDATING);
    assert_int_equal(route_step(ROUTE_ACTIVE, ROUTE_DOWN, &route), 0);
    assert_int_equal(route, ROUTE_BLACKHOLE);
    assert_int_equal(target_step(TARGET_DRAINING, TARGET_ADD, &health), 0);
    assert_int_equal(health, TARGET_INITIAL);
}

static void telling_a_target_the_same_twice_changes_it_once(void **unused)
{
    struct target target = {.instance_id = "i-1", .health = TARGET_INITIAL, .due_ns = 5};

    (void)unused;
    assert_false(target_tell(&target, TARGET_DOWN));
    assert_int_equal(target.due_ns, 5);
    assert_true(target_tell(&target, TARGET_LOST));
    assert_string_equal(target.health_reason, "instance-terminated");
    assert_int_equal(target.due_ns, 0);
    assert_false(target_tell(&target, TARGET_LOST));
    assert_true(target_tell(&target, TARGET_UP));
    assert_null(target.health_reason);
    assert_true(target_tell(&target, TARGET_DOWN));
    assert_string_equal(target.health_reason, "instance-not-running");
    assert_true(target_tell(&target, TARGET_LOST)); // for another reason
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_moves_along_its_diagram_and_nowhere_else),
        cmocka_unit_test(a_load_balancer_moves_along_its_diagram_and_nowhere_else),
        cmocka_unit_test(a_route_moves_along_its_diagram_and_nowhere_else),
        cmocka_unit_test(a_target_moves_along_its_diagram_and_nowhere_else),
        cmocka_unit_test(just_the_states_with_a_timer_take_a_deadline),
        cmocka_unit_test(deadlines_alone_never_go_in_circles),
        cmocka_unit_test(the_typed_steps_agree_with_the_tables),
        cmocka_unit_test(telling_a_target_the_same_twice_changes_it_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
