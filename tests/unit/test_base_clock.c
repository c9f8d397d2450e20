#include "base/clock.h"
#include "base/timefmt.h"
#include "tests/unit/base_unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static struct clock *start(const char *text)
{
    struct clock_state s;
    struct clock *c;

    assert_int_equal(clock_state_parse(text, &s, NULL), 0);
    c = clock_new(&s);
    assert_non_null(c);
    return c;
}

static void wait_until_monotonic(int64_t ns)
{
    while (clock_monotonic() < ns)
        ; // a few milliseconds at most
}

static void test_a_manual_clock_starts_at_2026_and_moves_by_hand_alone(void **state)
{
    struct clock *c = start("manual");

    (void)state;
    assert_int_equal(clock_now(c), CLOCK_MANUAL_START);
    wait_until_monotonic(clock_monotonic() + NS_PER_MS);
    assert_int_equal(clock_now(c), CLOCK_MANUAL_START);
    clock_advance_to(c, CLOCK_MANUAL_START + 5);
    assert_int_equal(clock_now(c), CLOCK_MANUAL_START + 5);
    clock_advance_to(c, CLOCK_MANUAL_START); // back: ignored
    assert_int_equal(clock_now(c), CLOCK_MANUAL_START + 5);
    clock_freeze(c);
    clock_resume(c);
    wait_until_monotonic(clock_monotonic() + NS_PER_MS);
    assert_int_equal(clock_now(c), CLOCK_MANUAL_START + 5);
    assert_int_equal(clock_snapshot(c).mode, CLOCK_MANUAL);
    clock_free(c);
}

static void test_a_real_clock_shows_wall_time(void **state)
{
    struct clock *c = start("real");
    int64_t before = clock_wall(), now = clock_now(c), after = clock_wall();

    (void)state;
    assert_true(now >= before - 10 * NS_PER_MS && now <= after + 10 * NS_PER_MS);
    clock_free(c);
}

static void test_a_scaled_clock_runs_at_its_speed(void **state)
{
    struct clock *c = start("scaled:1000000");
    int64_t real0 = clock_monotonic(), cloud0 = clock_now(c), real1 = clock_monotonic();
    int64_t real2, cloud1, real3;

    (void)state;
    wait_until_monotonic(real1 + 2 * NS_PER_MS);
    real2 = clock_monotonic();
    cloud1 = clock_now(c);
    real3 = clock_monotonic();
    assert_true(cloud1 - cloud0 <= (real3 - real0) * 1000000);
    assert_true(cloud1 - cloud0 >= (real2 - real1) * 1000000);
    clock_free(c);
}

static void test_at_the_monotonic_time_told_the_cloud_time_is_reached_and_not_before(void **state)
{
    static const char *const clocks[] = {"real", "scaled:0.001", "scaled:3", "scaled:7.77",
                                         "scaled:1e6"};

    (void)state;
    for (size_t i = 0; i < COUNT(clocks); i++) {
        struct clock *c = start(clocks[i]);
        for (int64_t ahead = 1; ahead < 200000; ahead *= 3) {
            int64_t target = clock_now(c) + (i == 1 ? ahead / 1000 : ahead);
            int64_t at = clock_monotonic_at(c, target);
            wait_until_monotonic(at);
            assert_true(clock_now(c) >= target);
        }
        assert_true(clock_monotonic_at(c, 0) <= clock_monotonic());
        clock_free(c);
    }
}

static void test_a_clock_that_stands_still_never_reaches_what_lies_ahead(void **state)
{
    struct clock *c = start("manual");

    (void)state;
    assert_int_equal(clock_monotonic_at(c, CLOCK_MANUAL_START + 1), INT64_MAX);
    assert_true(clock_monotonic_at(c, CLOCK_MANUAL_START) <= clock_monotonic());
    clock_free(c);
    c = start("scaled:2");
    clock_freeze(c);
    assert_int_equal(clock_monotonic_at(c, clock_now(c) + 1), INT64_MAX);
    clock_free(c);
}

static void test_freeze_stops_and_resume_goes_on_at_the_speed_before(void **state)
{
    struct clock *c = start("scaled:1000");
    int64_t frozen;

    (void)state;
    clock_freeze(c);
    frozen = clock_now(c);
    wait_until_monotonic(clock_monotonic() + NS_PER_MS);
    assert_int_equal(clock_now(c), frozen);
    assert_true(clock_snapshot(c).frozen);
    clock_advance_to(c, frozen + 3600 * NS_PER_S);
    assert_int_equal(clock_now(c), frozen + 3600 * NS_PER_S);
    clock_resume(c);
    assert_true(clock_snapshot(c).scale == 1000);
    assert_false(clock_snapshot(c).frozen);
    wait_until_monotonic(clock_monotonic_at(c, frozen + 3601 * NS_PER_S));
    assert_true(clock_now(c) >= frozen + 3601 * NS_PER_S);
    clock_free(c);
}

static void test_a_new_scale_continues_from_the_present(void **state)
{
    struct clock *c = start("manual");

    (void)state;
    clock_set_scale(c, 1e9); // above the maximum: capped
    assert_int_equal(clock_snapshot(c).mode, CLOCK_SCALED);
    assert_true(clock_snapshot(c).scale == CLOCK_SCALE_MAX);
    wait_until_monotonic(clock_monotonic_at(c, CLOCK_MANUAL_START + NS_PER_S));
    assert_true(clock_now(c) >= CLOCK_MANUAL_START + NS_PER_S);
    clock_set_scale(c, 0);
    assert_true(clock_snapshot(c).frozen);
    clock_free(c);
}

static void test_a_scaled_clock_stands_while_it_is_held(void **state)
{
    struct clock *c = start("scaled:1000000");
    int64_t held, before;

    (void)state;
    clock_hold(c);
    clock_hold(c);
    held = clock_now(c);
    wait_until_monotonic(clock_monotonic() + NS_PER_MS);
    assert_int_equal(clock_now(c), held);
    assert_int_equal(clock_snapshot(c).cloud_ns, held);
    assert_false(clock_snapshot(c).frozen);
    before = clock_monotonic();
    assert_true(clock_monotonic_at(c, held + 60 * NS_PER_S) >= before + 60000); // not never
    clock_advance_to(c, held + 5);
    assert_int_equal(clock_now(c), held + 5);
    before = clock_monotonic();
    clock_release(c);
    assert_true(clock_now(c) - held - 5 <=
                (clock_monotonic() - before) * 1000000); // nothing is made up for
    wait_until_monotonic(clock_monotonic_at(c, held + 60 * NS_PER_S));
    assert_true(clock_now(c) >= held + 60 * NS_PER_S);
    clock_free(c);
}

static void test_real_and_manual_clocks_cannot_be_held(void **state)
{
    struct clock *real = start("real"), *manual = start("manual");
    int64_t began = clock_now(real);

    (void)state;
    clock_hold(real);
    clock_hold(manual);
    wait_until_monotonic(clock_monotonic_at(real, began + NS_PER_MS));
    assert_true(clock_now(real) >= began + NS_PER_MS);
    clock_set_scale(manual, 1000); // from here on it can
    wait_until_monotonic(clock_monotonic() + NS_PER_MS);
    assert_int_equal(clock_now(manual), CLOCK_MANUAL_START);
    clock_release(manual);
    clock_release(real);
    wait_until_monotonic(clock_monotonic_at(manual, CLOCK_MANUAL_START + NS_PER_MS));
    assert_true(clock_now(manual) >= CLOCK_MANUAL_START + NS_PER_MS);
    clock_free(real);
    clock_free(manual);
}

static void test_cloud_time_stops_at_the_end_of_2200(void **state)
{
    struct clock *c = start("scaled:1000000");

    (void)state;
    clock_advance_to(c, INT64_MAX);
    assert_int_equal(clock_now(c), CLOCK_END);
    wait_until_monotonic(clock_monotonic() + 1000);
    assert_int_equal(clock_now(c), CLOCK_END);
    assert_int_equal(clock_monotonic_at(c, INT64_MAX), INT64_MAX);
    clock_free(c);
}

static void test_after_a_restart_a_running_clock_has_gone_on_and_a_frozen_one_has_not(void **state)
{
    struct clock_state s = {.mode = CLOCK_SCALED,
                            .scale = 10,
                            .cloud_ns = CLOCK_MANUAL_START,
                            .wall_ns = clock_wall() - 100 * NS_PER_S};
    struct clock *c = clock_new(&s);
    int64_t moved = clock_now(c) - CLOCK_MANUAL_START;

    (void)state;
    assert_true(moved >= 1000 * NS_PER_S && moved < 1100 * NS_PER_S);
    clock_free(c);
    s.frozen = true;
    c = clock_new(&s);
    assert_int_equal(clock_now(c), CLOCK_MANUAL_START);
    clock_free(c);
    s.frozen = false;
    s.wall_ns = clock_wall() + 3600 * NS_PER_S; // wall time was set back: cloud time is not
    c = clock_new(&s);
    assert_true(clock_now(c) >= CLOCK_MANUAL_START);
    clock_free(c);
}

static void test_clock_names_are_read(void **state)
{
    static const char *const wrong[] = {
        "",          "Real",           "scaled",    "scaled:",      "scaled:0",
        "scaled:-1", "scaled:x",       "scaled:1x", "scaled:inf",   "scaled:nan",
        "scaled: 1", "scaled:1000001", "manual:1",  "scaled:1e999", "scaled:+1"};
    struct clock_state s;

    (void)state;
    assert_int_equal(clock_state_parse("scaled:2.5", &s, NULL), 0);
    assert_int_equal(s.mode, CLOCK_SCALED);
    assert_true(s.scale == 2.5);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct error err = {0};
        if (clock_state_parse(wrong[i], &s, &err) != -ERROR_INVALID)
            fail_msg("\"%s\" was taken", wrong[i]);
    }
    assert_true(s.scale == 2.5);
}

static void *advance(void *clock)
{
    int64_t last = 0;

    for (int i = 0; i < 2000; i++) {
        int64_t now = clock_now(clock);
        assert_true(now >= last);
        last = now;
        clock_advance_to(clock, now + 10);
        clock_set_scale(clock, i % 7 + 1);
    }
    return NULL;
}

static void test_cloud_time_never_goes_back_whoever_turns_the_clock(void **state)
{
    struct clock *c = start("real");
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, advance, c), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    clock_free(c);
    clock_free(NULL);
}

struct watch {
    struct clock *clock;
    atomic_bool stop;
    atomic_long looks, backwards;
};

static void *watch_clock(void *argument)
{
    struct watch *w = argument;
    int64_t last = 0;

    while (!atomic_load(&w->stop)) {
        int64_t now = clock_now(w->clock);
        atomic_fetch_add(&w->backwards, now < last);
        atomic_fetch_add(&w->looks, 1);
        last = now;
    }
    return NULL;
}

static void test_cloud_time_never_goes_back_while_it_is_changed(void **state)
{
    struct watch w = {.clock = start("scaled:1000")};
    pthread_t threads[3];

    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, watch_clock, &w), 0);
    for (int i = 0; i < 20000 || atomic_load(&w.looks) < 1000; i++) {
        if (i % 3 == 0)
            clock_freeze(w.clock);
        else if (i % 3 == 1)
            clock_resume(w.clock);
        else
            clock_set_scale(w.clock, i % 2 == 0 ? 1000 : 3);
    }
    atomic_store(&w.stop, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    printf("%ld looks\n", atomic_load(&w.looks));
    assert_int_equal(atomic_load(&w.backwards), 0);
    clock_free(w.clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_manual_clock_starts_at_2026_and_moves_by_hand_alone),
        cmocka_unit_test(test_a_real_clock_shows_wall_time),
        cmocka_unit_test(test_a_scaled_clock_runs_at_its_speed),
        cmocka_unit_test(test_at_the_monotonic_time_told_the_cloud_time_is_reached_and_not_before),
        cmocka_unit_test(test_a_clock_that_stands_still_never_reaches_what_lies_ahead),
        cmocka_unit_test(test_freeze_stops_and_resume_goes_on_at_the_speed_before),
        cmocka_unit_test(test_a_new_scale_continues_from_the_present),
        cmocka_unit_test(test_a_scaled_clock_stands_while_it_is_held),
        cmocka_unit_test(test_real_and_manual_clocks_cannot_be_held),
        cmocka_unit_test(test_cloud_time_stops_at_the_end_of_2200),
        cmocka_unit_test(test_after_a_restart_a_running_clock_has_gone_on_and_a_frozen_one_has_not),
        cmocka_unit_test(test_clock_names_are_read),
        cmocka_unit_test(test_cloud_time_never_goes_back_whoever_turns_the_clock),
        cmocka_unit_test(test_cloud_time_never_goes_back_while_it_is_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
