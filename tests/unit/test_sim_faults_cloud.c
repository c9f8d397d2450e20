// What fault rules do to the cloud: the parts that are easier to see without HTTP.
#include "sim/fault.h"
#include "tests/unit/sim_fixture.h"

#include <stdio.h>

static struct change *rule(struct sim *s, const char *operation, enum fault_effect_type type)
{
    struct change *c = request(s, fault_create, NULL);
    struct fault_spec *spec = &c->request.fault;

    c->project = 0;
    c->project_name = NULL;
    spec->match.operations = arena_alloc(&c->arena, sizeof(*spec->match.operations));
    spec->match.operations[0] = operation;
    spec->match.operation_count = 1;
    spec->match.scope = -1;
    spec->match.resource.kind = -1;
    spec->when.probability = 1;
    spec->effect.type = type;
    return c;
}

static char *add(struct sim *s, struct change *c) // id, to be freed
{
    return strdup(text(accepted(s, c), "id"));
}

static char *stuck(struct sim *s, const char *transition)
{
    return add(s, rule(s, transition, FAULT_STUCK_TRANSITION));
}

static void every_timed_state_can_be_held_and_let_go(void **state)
{
    static const struct {
        const char *transition, *held, *after;
        change_apply *by; // after the creation; NULL: the creation itself
    } cases[] = {
        {"instance.pending", "pending", "running", NULL},
        {"instance.stopping", "stopping", "stopped", instance_stop},
        {"instance.rebooting", "rebooting", "running", instance_reboot},
        {"instance.terminating", "terminating", "terminated", instance_terminate},
    };
    struct sim *s = *state;
    size_t examined = 0;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[16];
        char *fault = stuck(s, cases[i].transition), *id;

        snprintf(name, sizeof(name), "n%zu", i);
        id = create_instance(s, name);
        if (cases[i].by)
            act(s, cases[i].by, id);
        assert_state(s, KIND_INSTANCE, id, cases[i].held);
        advance(s, 3600 * NS_PER_S);
        assert_state(s, KIND_INSTANCE, id, cases[i].held);
        act(s, fault_delete, fault);
        assert_state(s, KIND_INSTANCE, id, cases[i].after);
        free(fault);
        free(id);
        examined++;
    }
    print_message("%zu transitions held and let go\n", examined);
}

static void a_held_one_that_moves_on_is_not_let_go_again(void **state)
{
    struct sim *s = *state;
    char *fault = stuck(s, "instance.pending"), *id = create_instance(s, "one");
    int64_t revision;

    act(s, instance_terminate, id);
    assert_state(s, KIND_INSTANCE, id, "terminated");
    revision = cloud_revision(s->cloud);
    act(s, fault_delete, fault);
    assert_int_equal(cloud_revision(s->cloud), revision + 1); // the rule alone
    free(fault);
    free(id);
}

static void a_rule_for_a_while_lets_go_by_itself_and_its_removal_before(void **state)
{
    struct sim *s = *state;
    struct change *c = rule(s, "instance.pending", FAULT_STUCK_TRANSITION);
    char *fault, *id;

    c->request.fault.effect.duration_ns = 10 * NS_PER_S;
    fault = add(s, c);
    id = create_instance(s, "one");
    advance(s, 9 * NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "pending");
    advance(s, NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "running");
    free(id);
    id = create_instance(s, "two");
    act(s, fault_delete, fault);
    assert_state(s, KIND_INSTANCE, id, "running");
    free(fault);
    free(id);
}

static void what_is_released_passes_also_where_another_rule_would_hold_it(void **state)
{
    struct sim *s = *state;
    char *first = stuck(s, "instance.pending"), *second = stuck(s, "instance.pending");
    char *id = create_instance(s, "one");

    act(s, fault_delete, first);
    assert_state(s, KIND_INSTANCE, id, "running");
    free(first);
    free(second);
    free(id);
}

static void a_load_balancer_that_fails_to_go_is_in_error_and_can_be_deleted_again(void **state)
{
    struct sim *s = *state;
    struct change *c = request(s, load_balancer_create, NULL);
    char *fault, *id;

    c->request.load_balancer.name = "lb";
    id = strdup(text(accepted(s, c), "id"));
    fault = add(s, rule(s, "load_balancer.deleting", FAULT_FAILED_TRANSITION));
    act(s, load_balancer_delete, id);
    assert_state(s, KIND_LOAD_BALANCER, id, "error");
    act(s, fault_delete, fault);
    act(s, load_balancer_delete, id);
    assert_null(look(s, KIND_LOAD_BALANCER, id));
    free(fault);
    free(id);
}

static void an_outage_and_its_end_are_events_of_their_own_cause(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "one"), *log;
    struct change *c = rule(s, "*", FAULT_ZONE_OUTAGE);
    int64_t since = cloud_revision(s->cloud);

    c->request.fault.effect.zone = "mock-1a";
    c->request.fault.when.from_ns = 10 * NS_PER_S;
    c->request.fault.when.until_ns = 20 * NS_PER_S;
    c->request.fault.from_is_delay = c->request.fault.until_is_delay = true;
    free(add(s, c));
    assert_state(s, KIND_INSTANCE, id, "running");
    advance(s, 10 * NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "stopped");
    advance(s, 10 * NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "running");
    log = event_log(s, since);
    assert_non_null(strstr(log, "zone.outage"));
    assert_non_null(strstr(log, "zone.recovery"));
    free(log);
    free(id);
}

static void a_change_that_fails_for_a_rule_leaves_nothing_but_the_firing(void **state)
{
    struct sim *s = *state;
    struct change *c = rule(s, "test", FAULT_EXHAUSTED);
    int64_t before;
    char *fault, *log;

    c->request.fault.effect.lack = FAULT_LACK_CAPACITY;
    fault = add(s, c);
    before = cloud_revision(s->cloud);
    c = request(s, instance_create, NULL);
    c->request.instance.count = 5;
    assert_int_equal(cloud_apply(s->cloud, c), -ERROR_CAPACITY);
    change_free(c);
    assert_int_equal(count_events(s, before), 1);
    log = event_log(s, before);
    assert_non_null(strstr(log, "\"fired\""));
    free(log);
    free(fault);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_timed_state_can_be_held_and_let_go),
        TEST(a_held_one_that_moves_on_is_not_let_go_again),
        TEST(a_rule_for_a_while_lets_go_by_itself_and_its_removal_before),
        TEST(what_is_released_passes_also_where_another_rule_would_hold_it),
        TEST(a_load_balancer_that_fails_to_go_is_in_error_and_can_be_deleted_again),
        TEST(an_outage_and_its_end_are_events_of_their_own_cause),
        TEST(a_change_that_fails_for_a_rule_leaves_nothing_but_the_firing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
