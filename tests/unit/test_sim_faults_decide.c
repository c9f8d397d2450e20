// Fault rules: which calls they match, when they fire, and that the same calls meet the same
// faults.
#include "sim/fault.h"
#include "tests/unit/sim_fixture.h"

#define DOOR (FAULT_BIT(FAULT_AT_DOOR) | FAULT_BIT(FAULT_AT_REPLY))

static const char *operations[] = {"instances.*"};

static struct change *rule(struct sim *s, enum fault_effect_type type)
{
    struct change *c = request(s, fault_create, NULL);

    c->project = 0;
    c->request.fault =
        (struct fault_spec){.match = {.operations = operations, .operation_count = 1, .scope = -1},
                            .when = {.probability = 1},
                            .effect = {.type = type, .status = 503, .rate = 1, .burst = 2}};
    c->request.fault.match.resource.kind = -1;
    return c;
}

static char *add(struct sim *s, struct change *c) // id, to be freed
{
    return strdup(text(accepted(s, c), "id"));
}

// The effect that ends the call, or -1.
static int decide(struct sim *s, struct fault_call call)
{
    struct fault_verdict v;
    int type = -1;

    call.places = call.places ? call.places : DOOR;
    call.operation = call.operation ? call.operation : "instances.get";
    call.project = call.project ? call.project : s->project;
    fault_decide(s->cloud, &call, &v);
    if (v.count > 0)
        type = (int)v.fired[v.count - 1].fault->effect.type;
    fault_verdict_fini(&v);
    return type;
}

static long long stat(struct sim *s, const char *id, const char *what)
{
    struct buffer out;
    json_t *stats;
    long long value;

    buffer_init(&out);
    assert_int_equal(fault_stats(s->cloud, id, &out, NULL), 0);
    stats = json_loadb(out.data, out.length, 0, NULL);
    value = json_integer_value(json_object_get(stats, what));
    json_decref(stats);
    buffer_fini(&out);
    return value;
}

static void without_rules_nothing_happens(void **state)
{
    assert_false(fault_any(((struct sim *)*state)->cloud));
    assert_int_equal(decide(*state, (struct fault_call){0}), -1);
}

static void a_rule_is_asked_about_its_operations_and_place_only(void **state)
{
    struct sim *s = *state;
    char *id = add(s, rule(s, FAULT_RESET));

    assert_true(fault_any(s->cloud));
    assert_int_equal(decide(s, (struct fault_call){.operation = "routes.get"}), -1);
    assert_int_equal(decide(s, (struct fault_call){.places = FAULT_BIT(FAULT_AT_READ)}), -1);
    assert_int_equal(decide(s, (struct fault_call){0}), FAULT_RESET);
    assert_int_equal(stat(s, id, "matched"), 1);
    act(s, fault_delete, id);
    assert_false(fault_any(s->cloud));
    assert_int_equal(decide(s, (struct fault_call){0}), -1);
    free(id);
}

static void a_selector_compares_what_is_known_and_asks_for_the_rest_once(void **state)
{
    struct sim *s = *state;
    struct store_tag tag = {"role", "web"};
    struct fault_target target = {.kind = KIND_INSTANCE, .id = "i-1", .tags = &tag, .tag_count = 1};
    struct change *c = rule(s, FAULT_ERROR);

    c->request.fault.match.has_resource = true;
    c->request.fault.match.resource.kind = KIND_INSTANCE;
    c->request.fault.match.resource.id = "i-1";
    c->request.fault.match.resource.tags = &tag;
    c->request.fault.match.resource.tag_count = 1;
    free(add(s, c));
    assert_int_equal(decide(s, (struct fault_call){0}), -1);
    assert_int_equal(decide(s, (struct fault_call){.target = &target}), FAULT_ERROR);
    assert_int_equal(decide(s, (struct fault_call){.target = &target, .many = true}), -1);
    target.tag_count = 0;
    assert_int_equal(decide(s, (struct fault_call){.target = &target}), -1);
    target.id = "i-2";
    target.tag_count = 1;
    assert_int_equal(decide(s, (struct fault_call){.target = &target}), -1);
}

static void the_first_effect_that_ends_a_call_is_the_last_one_asked(void **state)
{
    struct sim *s = *state;
    char *latency = add(s, rule(s, FAULT_LATENCY)), *error = add(s, rule(s, FAULT_ERROR)),
         *late = add(s, rule(s, FAULT_RESET));

    assert_int_equal(decide(s, (struct fault_call){0}), FAULT_ERROR);
    assert_int_equal(stat(s, latency, "fired"), 1);
    assert_int_equal(stat(s, error, "fired"), 1);
    assert_int_equal(stat(s, late, "matched"), 0);
    free(latency);
    free(error);
    free(late);
}

static void a_throttle_lets_its_burst_through_and_fills_in_cloud_time(void **state)
{
    struct sim *s = *state;
    struct change *c = rule(s, FAULT_THROTTLE);

    c->request.fault.effect.clock = FAULT_CLOCK_CLOUD;
    free(add(s, c));
    for (int i = 0; i < 4; i++)
        assert_int_equal(decide(s, (struct fault_call){0}), i < 2 ? -1 : FAULT_THROTTLE);
    advance(s, NS_PER_S);
    assert_int_equal(decide(s, (struct fault_call){0}), -1);
    assert_int_equal(decide(s, (struct fault_call){0}), FAULT_THROTTLE);
}

static void the_die_falls_the_same_for_a_seed_and_otherwise_for_another(void **state)
{
    char outcomes[3][65] = {{0}};
    const uint64_t seeds[] = {1, 1, 2};

    (void)state;
    for (int run = 0; run < 3; run++) {
        struct sim s;
        sim_open(&s, seeds[run]);
        struct change *c = rule(&s, FAULT_ERROR);
        c->request.fault.when.probability = 0.5;
        free(add(&s, c));
        for (int i = 0; i < 64; i++)
            outcomes[run][i] = decide(&s, (struct fault_call){0}) < 0 ? '.' : 'x';
        sim_close(&s);
    }
    assert_string_equal(outcomes[0], outcomes[1]);
    assert_string_not_equal(outcomes[0], outcomes[2]);
}

static void a_rule_whose_change_is_refused_does_not_stand(void **state)
{
    struct sim *s = *state;
    struct change *c = rule(s, FAULT_ERROR);

    c->request.fault.name = "one";
    free(add(s, c));
    c = rule(s, FAULT_RESET);
    c->request.fault.name = "one";
    refused(s, c, ERROR_EXISTS, "name", "one");
    assert_int_equal(decide(s, (struct fault_call){0}), FAULT_ERROR);
    c = request(s, faults_clear, NULL);
    c->project = 0;
    accepted(s, c);
    assert_int_equal(decide(s, (struct fault_call){0}), -1);
}

static struct sim *the_sim;

// A call meets the rules while they are being removed, and its firing is told after that.
static int clear_meanwhile(struct txn *t, struct change *c, struct error *err)
{
    int rc = faults_clear(t, c, err);

    assert_int_equal(decide(the_sim, (struct fault_call){0}), FAULT_ERROR);
    return rc;
}

static void a_firing_of_a_rule_that_has_gone_is_not_recorded(void **state)
{
    struct record_status before, after;
    struct change *c;

    the_sim = *state;
    free(add(the_sim, rule(the_sim, FAULT_ERROR)));
    assert_int_equal(cloud_record_start(the_sim->cloud, NULL, false, NULL), 0);
    cloud_record_status(the_sim->cloud, &before);
    c = request(the_sim, clear_meanwhile, NULL);
    c->project = 0;
    accepted(the_sim, c);
    assert_int_equal(cloud_record_stop(the_sim->cloud, NULL), 0); // the firing has been told
    cloud_record_status(the_sim->cloud, &after);
    assert_int_equal(after.lines - before.lines, 2); // the change, and the end
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sim_setup, sim_teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_rules_nothing_happens),
        TEST(a_rule_is_asked_about_its_operations_and_place_only),
        TEST(a_selector_compares_what_is_known_and_asks_for_the_rest_once),
        TEST(the_first_effect_that_ends_a_call_is_the_last_one_asked),
        TEST(a_throttle_lets_its_burst_through_and_fills_in_cloud_time),
        TEST(the_die_falls_the_same_for_a_seed_and_otherwise_for_another),
        TEST(a_rule_whose_change_is_refused_does_not_stand),
        TEST(a_firing_of_a_rule_that_has_gone_is_not_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
