// Scenarios and chaos without HTTP: the compiler's lines, the machine of steps, packing.
#include "tests/unit/sim_fixture.h"

#include "api/actor.h"
#include "api/scenario_compile.h"
#include "sim/call_log.h"
#include "sim/chaos_internal.h"
#include "sim/pack.h"
#include "sim/txn.h"

struct world {
    struct sim sim;
    struct arena arena;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    sim_open_with(&w->sim, 1, &api_actor);
    arena_init(&w->arena);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sim_close(&w->sim);
    arena_fini(&w->arena);
    free(w);
    return 0;
}

static struct diagnostics compile(struct world *w, const char *source, struct scenario *out)
{
    struct diagnostics d = {.file = "f.yaml", .arena = &w->arena};
    struct scenario_input input = {.text = source, .length = strlen(source)};

    int rc = scenario_compile(&input, &d, out);

    assert_int_equal(rc == 0, d.count == 0);
    return d;
}

static char *run(struct world *w, const char *source) // id, to be freed
{
    struct scenario *program = arena_alloc(&w->arena, sizeof(*program));
    struct change *c = request(&w->sim, scenario_run, NULL);
    struct diagnostics d = compile(w, source, program);

    if (d.count > 0)
        fail_msg("%s", diagnostic_text(&d, 0));
    c->request.scenario.program = program;
    return strdup(text(accepted(&w->sim, c), "id"));
}

static void mistakes_are_told_by_line_column_and_path(void **state)
{
    struct scenario program;
    struct diagnostics d =
        compile(*state, "steps:\n  - at: 5s\n    stop: {random: -2}\n  - at: 1s\n", &program);

    assert_int_equal(d.count, 2);
    assert_string_equal(diagnostic_text(&d, 0),
                        "f.yaml:3:20: steps[0].stop.random: must be a whole "
                        "number, 1 to 1000000");
    assert_string_equal(diagnostic_text(&d, 1),
                        "f.yaml:4:5: steps[1]: a step needs something to do, "
                        "to expect, or to wait for");
}

static void an_action_that_fails_undoes_its_step(void **state)
{
    struct world *w = *state;
    char *id = run(w, "steps: [{after: 5s, do: [{create: {name: a}}, {terminate: {name: b}}]}]");
    size_t before = count_events(&w->sim, 0);

    advance(&w->sim, 5 * NS_PER_S);
    assert_state(&w->sim, KIND_SCENARIO, id, "failed");
    assert_int_equal(count_events(&w->sim, 0), before + 2); // of the scenario and the clock
    free(id);
}

// The batch is done over with savepoints: what came before the failure happens once all the same,
// at its own time.
static void a_failure_amid_a_batch_leaves_what_came_before_and_after(void **state)
{
    struct world *w = *state;
    char *before = run(w, "steps: [{after: 3s, create: {name: before}}]");
    char *broken = run(w, "steps: [{after: 5s, do: [{create: {name: a}}, {stop: {name: b}}]}]");
    char *after = run(w, "steps: [{after: 7s, create: {name: after}}]");
    int64_t now = cloud_now(w->sim.cloud);
    size_t events = count_events(&w->sim, 0);

    advance(&w->sim, 20 * NS_PER_S);
    assert_state(&w->sim, KIND_SCENARIO, before, "succeeded");
    assert_state(&w->sim, KIND_SCENARIO, broken, "failed");
    assert_state(&w->sim, KIND_SCENARIO, after, "succeeded");
    assert_int_equal(cloud_now(w->sim.cloud) - now, 20 * NS_PER_S);
    // three scenarios, two instances, the clock
    assert_int_equal(count_events(&w->sim, 0), events + 3 + 2 + 1);
    free(before);
    free(broken);
    free(after);
}

static void a_waiting_step_sees_the_change_in_its_own_transaction(void **state)
{
    struct world *w = *state;
    char *id = run(w, "steps: [{when: {event: {kind: instance, type: created}}, stop: x}]");
    char *instance = create_instance(&w->sim, "x");

    assert_state(&w->sim, KIND_INSTANCE, instance, "stopped");
    assert_state(&w->sim, KIND_SCENARIO, id, "succeeded");
    free(instance);
    free(id);
}

static void a_damaged_record_is_never_taken_for_a_scenario(void **state)
{
    struct world *w = *state;
    struct scenario program, back;
    struct buffer packed;
    size_t refused_count = 0;

    compile(
        w,
        "variables: {a: 1}\nsteps: [{every: 1m, count: 2, stop: {random: 1}, expect: {count: {}}}]",
        &program);
    buffer_init(&packed);
    scenario_kind.pack(&program.r, &packed);
    for (size_t cut = 0; cut < packed.length; cut++) {
        struct unpacker in = {.at = (unsigned char *)packed.data,
                              .end = (unsigned char *)packed.data + cut,
                              .version = 3};

        memset(&back, 0, sizeof(back));
        scenario_kind.unpack(&back.r, &in, &w->arena);
        refused_count += in.failed;
    }
    printf("%zu of %zu cut records refused\n", refused_count, packed.length);
    assert_int_equal(refused_count, packed.length);
    buffer_fini(&packed);
}

static void a_record_from_before_conditions_on_calls_is_read(void **state)
{
    struct world *w = *state;
    struct scenario program, back = {.awaits_calls = false};
    struct buffer packed;

    compile(w, "steps: [{every: 1m, count: 2, stop: {random: 1}}]", &program);
    buffer_init(&packed);
    scenario_kind.pack(&program.r, &packed);
    struct unpacker in = {.at = (unsigned char *)packed.data,
                          .end = (unsigned char *)packed.data + packed.length - 1,
                          .version = 2}; // which ended before `awaits_calls`
    scenario_kind.unpack(&back.r, &in, &w->arena);
    assert_false(in.failed);
    assert_ptr_equal(in.at, in.end);
    assert_int_equal(back.step_count, 1);
    assert_int_equal(back.steps[0].count, 2);
    buffer_fini(&packed);
}

// --- calls ---

struct counted {
    struct call_log log; // first
    int64_t total, began_ns;
    int asked;
    char operation[64];
};

static int64_t total(const struct call_log *log, const struct calls_asked *asked, int64_t *began_ns)
{
    struct counted *c = (struct counted *)(uintptr_t)log;

    c->asked++;
    snprintf(c->operation, sizeof(c->operation), "%s", asked->operation);
    *began_ns = c->began_ns;
    return c->total;
}

static void answered(struct world *w, struct counted *c, int64_t calls)
{
    c->total += calls;
    cloud_call_counted(w->sim.cloud);
    advance(&w->sim, 0); // through the writer, behind the look that was asked for
}

static void calls_wake_a_scenario_that_waits_for_them_and_cost_no_other_a_look(void **state)
{
    struct world *w = *state;
    struct counted c = {.log = {total}, .total = 100, .began_ns = 1};
    char *other, *id;

    cloud_set_call_log(w->sim.cloud, &c.log);
    other = run(w, "steps: [{when: {event: {kind: instance}}, stop: x}]");
    answered(w, &c, 5);
    assert_int_equal(c.asked, 0);
    id = run(w, "steps: [{expect: {calls: {operation: '*.list'}, is: '>= 3'}, within: 1h}]");
    answered(w, &c, 2);
    assert_state(&w->sim, KIND_SCENARIO, id, "running");
    assert_string_equal(c.operation, "*.list");
    answered(w, &c, 1);
    assert_state(&w->sim, KIND_SCENARIO, id, "succeeded");
    c.asked = 0;
    answered(w, &c, 1);
    assert_int_equal(c.asked, 0);
    cloud_set_call_log(w->sim.cloud, NULL);
    free(other);
    free(id);
}

static void a_bound_on_calls_does_not_hold_when_counting_began_anew(void **state)
{
    struct world *w = *state;
    struct counted c = {.log = {total}, .total = 100, .began_ns = 1};
    char *id;

    cloud_set_call_log(w->sim.cloud, &c.log);
    id = run(w, "steps: [{expect: {calls: {operation: '*'}, is: '<= 3'}, during: 1h}]");
    answered(w, &c, 3);
    assert_state(&w->sim, KIND_SCENARIO, id, "running");
    c = (struct counted){.log = {total}, .began_ns = 2};
    answered(w, &c, 1);
    assert_state(&w->sim, KIND_SCENARIO, id, "failed");
    cloud_set_call_log(w->sim.cloud, NULL);
    free(id);
}

static void chaos_is_planned_by_seed_and_number_alone(void **state)
{
    struct chaos a = {.seed = 7}, b = {.seed = 7}, c = {.seed = 8};
    double sum = 0;

    (void)state;
    a.set.rates[CHAOS_STOP] = b.set.rates[CHAOS_STOP] = c.set.rates[CHAOS_STOP] =
        60 * CHAOS_RATE_UNIT;
    for (int n = 0; n < 10000; n++) {
        a.ordinal = b.ordinal = c.ordinal = n;
        chaos_plan(&a, 0);
        chaos_plan(&b, 0);
        chaos_plan(&c, 0);
        assert_int_equal(a.next_ns, b.next_ns);
        assert_true(a.next_ns > 0 && a.next_ns != c.next_ns);
        sum += (double)a.next_ns;
    }
    assert_true(sum / 10000 > 58.0 * NS_PER_S && sum / 10000 < 62.0 * NS_PER_S); // once a minute
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mistakes_are_told_by_line_column_and_path, setup, teardown),
        cmocka_unit_test_setup_teardown(an_action_that_fails_undoes_its_step, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_amid_a_batch_leaves_what_came_before_and_after,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_waiting_step_sees_the_change_in_its_own_transaction,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_record_is_never_taken_for_a_scenario, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_record_from_before_conditions_on_calls_is_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            calls_wake_a_scenario_that_waits_for_them_and_cost_no_other_a_look, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bound_on_calls_does_not_hold_when_counting_began_anew,
                                        setup, teardown),
        cmocka_unit_test(chaos_is_planned_by_seed_and_number_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
