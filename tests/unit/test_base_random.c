#include "base/random.h"
#include "base/timefmt.h"
#include "tests/unit/base_unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAWS 20000
#define SEED 42

static void test_draws_depend_on_seed_revision_and_stream_and_on_nothing_else(void **state)
{
    uint64_t draw = random_u64(SEED, 7, 1);

    (void)state;
    assert_true(random_u64(SEED, 7, 1) == draw);
    assert_true(random_u64(SEED + 1, 7, 1) != draw);
    assert_true(random_u64(SEED, 8, 1) != draw);
    assert_true(random_u64(SEED, 7, 2) != draw);
    assert_true(draw == UINT64_C(0x383d308626efa9f0)); // what event logs of today were made with
}

static void test_unit_draws_lie_in_0_to_1_and_fill_it_evenly(void **state)
{
    int bins[10] = {0};

    (void)state;
    for (int64_t i = 0; i < DRAWS; i++) {
        double u = random_unit(SEED, i, 3);
        assert_true(u >= 0 && u < 1);
        bins[(int)(u * 10)]++;
    }
    for (size_t i = 0; i < COUNT(bins); i++)
        assert_in_range(bins[i], DRAWS / 10 - 300, DRAWS / 10 + 300);
}

static void test_ids_are_a_prefix_and_17_hex_digits_and_stay_the_same_for_ever(void **state)
{
    char id[ID_MAX], again[ID_MAX];

    (void)state;
    id_make(id, "i", SEED, 1);
    assert_int_equal(strlen(id), 19);
    assert_int_equal(strspn(id + 2, "0123456789abcdef"), 17);
    assert_int_equal(strncmp(id, "i-", 2), 0);
    id_make(again, "i", SEED, 1);
    assert_string_equal(id, again);
    assert_string_equal(id, "i-404c947403b496f7f");
    id_make(id, "abcde", SEED, INT64_MAX);
    assert_int_equal(strlen(id), ID_MAX - 1);
    id_make(id, "abcdefgh", SEED, 1); // too long: cut, never beyond ID_MAX
    assert_int_equal(strlen(id), ID_MAX - 1);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void test_ids_differ_between_revisions_kinds_and_seeds(void **state)
{
    static char ids[3000][ID_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(ids); i++)
        id_make(ids[i], i % 3 == 0 ? "a" : "b", i % 3 == 1 ? SEED : SEED + 1, (int64_t)(i / 3));
    for (size_t i = 0; i < COUNT(ids); i++)
        memmove(ids[i], strchr(ids[i], '-'), 19);
    qsort(ids, COUNT(ids), sizeof(ids[0]), compare_ids);
    for (size_t i = 1; i < COUNT(ids); i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
}

static void test_secrets_have_the_length_asked_for_and_differ(void **state)
{
    char a[201], b[201], one[1] = {'x'};

    (void)state;
    assert_int_equal(secret_make(a, sizeof(a), NULL), 0);
    assert_int_equal(secret_make(b, sizeof(b), NULL), 0);
    assert_int_equal(strspn(a, "0123456789abcdef"), 200);
    assert_int_equal(strlen(a), 200);
    assert_string_not_equal(a, b);
    assert_int_equal(secret_make(one, sizeof(one), NULL), 0);
    assert_int_equal(one[0], '\0');
    assert_true(random_seed() != random_seed());
}

struct moments {
    double mean, stddev;
    int64_t min, max;
};

static struct moments draw_many(struct distribution d)
{
    struct moments m = {.min = INT64_MAX, .max = INT64_MIN};
    double sum = 0, squares = 0;

    for (int64_t i = 0; i < DRAWS; i++) {
        int64_t x = distribution_draw(&d, SEED, i, 5);
        assert_int_equal(x, distribution_draw(&d, SEED, i, 5));
        assert_true(x >= 0 && x <= DURATION_MAX);
        m.min = x < m.min ? x : m.min;
        m.max = x > m.max ? x : m.max;
        sum += (double)x;
        squares += (double)x * (double)x;
    }
    m.mean = sum / DRAWS;
    m.stddev = sqrt(fmax(squares / DRAWS - m.mean * m.mean, 0));
    return m;
}

static void assert_near(double value, double expected, double part)
{
    if (fabs(value - expected) > fabs(expected) * part)
        fail_msg("%g is not within %g%% of %g", value, part * 100, expected);
}

static void test_fixed_is_always_its_value(void **state)
{
    struct moments m = draw_many((struct distribution){DISTRIBUTION_FIXED, 3 * NS_PER_S, 0});

    (void)state;
    assert_int_equal(m.min, 3 * NS_PER_S);
    assert_int_equal(m.max, 3 * NS_PER_S);
}

static void test_uniform_fills_its_bounds_and_keeps_them(void **state)
{
    struct moments m =
        draw_many((struct distribution){DISTRIBUTION_UNIFORM, NS_PER_S, 2 * NS_PER_S});

    (void)state;
    assert_true(m.min >= NS_PER_S && m.max <= 2 * NS_PER_S);
    assert_near((double)m.min, 1e9, 0.001);
    assert_near((double)m.max, 2e9, 0.001);
    assert_near(m.mean, 1.5e9, 0.01);
    m = draw_many((struct distribution){DISTRIBUTION_UNIFORM, 5, 5});
    assert_int_equal(m.min, 5);
    assert_int_equal(m.max, 5);
}

static void test_normal_has_its_mean_and_deviation(void **state)
{
    struct moments m =
        draw_many((struct distribution){DISTRIBUTION_NORMAL, 10 * NS_PER_S, NS_PER_S});

    (void)state;
    assert_near(m.mean, 10e9, 0.005);
    assert_near(m.stddev, 1e9, 0.03);
}

static void test_lognormal_has_the_mean_and_deviation_of_the_drawn_value(void **state)
{
    struct moments m =
        draw_many((struct distribution){DISTRIBUTION_LOGNORMAL, 10 * NS_PER_S, 5 * NS_PER_S});

    (void)state;
    assert_near(m.mean, 10e9, 0.02);
    assert_near(m.stddev, 5e9, 0.05);
    assert_true(m.min > 0);
}

static void test_draws_below_zero_and_beyond_a_year_are_clamped(void **state)
{
    struct moments m = draw_many((struct distribution){DISTRIBUTION_NORMAL, 0, NS_PER_S});

    (void)state;
    assert_int_equal(m.min, 0);
    m = draw_many((struct distribution){DISTRIBUTION_NORMAL, DURATION_MAX, DURATION_MAX});
    assert_int_equal(m.max, DURATION_MAX);
    m = draw_many((struct distribution){DISTRIBUTION_LOGNORMAL, 0, NS_PER_S});
    assert_int_equal(m.max, 0);
    m = draw_many((struct distribution){DISTRIBUTION_LOGNORMAL, NS_PER_S, 0});
    assert_near((double)m.min, 1e9, 1e-6);
    assert_near((double)m.max, 1e9, 1e-6);
    m = draw_many((struct distribution){DISTRIBUTION_FIXED, INT64_MAX, 0});
    assert_int_equal(m.min, DURATION_MAX);
    m = draw_many((struct distribution){DISTRIBUTION_FIXED, -5, 0});
    assert_int_equal(m.max, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_depend_on_seed_revision_and_stream_and_on_nothing_else),
        cmocka_unit_test(test_unit_draws_lie_in_0_to_1_and_fill_it_evenly),
        cmocka_unit_test(test_ids_are_a_prefix_and_17_hex_digits_and_stay_the_same_for_ever),
        cmocka_unit_test(test_ids_differ_between_revisions_kinds_and_seeds),
        cmocka_unit_test(test_secrets_have_the_length_asked_for_and_differ),
        cmocka_unit_test(test_fixed_is_always_its_value),
        cmocka_unit_test(test_uniform_fills_its_bounds_and_keeps_them),
        cmocka_unit_test(test_normal_has_its_mean_and_deviation),
        cmocka_unit_test(test_lognormal_has_the_mean_and_deviation_of_the_drawn_value),
        cmocka_unit_test(test_draws_below_zero_and_beyond_a_year_are_clamped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
