// Token buckets, against a bucket that counts in fractions.
#include "base/bucket.h"
#include "base/random.h"
#include "tests/unit/seed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000000)
#define START INT64_C(1767225600000000000)

static struct bucket_rule rule_of(double rate, int64_t burst)
{
    struct bucket_rule rule;

    assert_int_equal(bucket_rule_make(rate, burst, &rule, NULL), 0);
    return rule;
}

static void a_full_bucket_gives_its_burst_and_then_one_per_interval(void **state)
{
    struct bucket_rule rule = rule_of(2, 3);
    struct bucket b = {0};
    struct bucket_view v;

    (void)state;
    for (int left = 2; left >= 0; left--) {
        assert_true(bucket_take(&b, &rule, START, &v));
        assert_int_equal(v.remaining, left);
    }
    assert_false(bucket_take(&b, &rule, START, &v));
    assert_int_equal(v.retry_after_ns, SECOND / 2);
    assert_int_equal(v.full_after_ns, SECOND * 3 / 2);
    assert_false(bucket_take(&b, &rule, START + SECOND / 2 - 1, &v));
    assert_int_equal(v.retry_after_ns, 1);
    assert_true(bucket_take(&b, &rule, START + SECOND / 2, &v));
    assert_false(bucket_take(&b, &rule, START + SECOND / 2, NULL));
}

static void a_bucket_never_holds_more_than_its_burst(void **state)
{
    struct bucket_rule rule = rule_of(1000, 2);
    struct bucket b = {0};

    (void)state;
    assert_true(bucket_take(&b, &rule, START, NULL));
    assert_int_equal(bucket_look(&b, &rule, START + 3600 * SECOND).remaining, 2);
    assert_true(bucket_take(&b, &rule, START + 3600 * SECOND, NULL));
    assert_true(bucket_take(&b, &rule, START + 3600 * SECOND, NULL));
    assert_false(bucket_take(&b, &rule, START + 3600 * SECOND, NULL));
}

static void a_burst_of_zero_is_a_seconds_worth(void **state)
{
    (void)state;
    assert_int_equal(rule_of(2.5, 0).burst, 3);
    assert_int_equal(rule_of(0.001, 0).burst, 1);
}

static void what_is_out_of_bounds_is_refused_by_field(void **state)
{
    static const double rates[] = {0, -1, 1e7, 0.0, __builtin_nan(""), __builtin_inf()};
    struct bucket_rule rule;

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct error err = {0};
        assert_true(bucket_rule_make(rates[i], 1, &rule, &err) < 0);
        assert_string_equal(err.field, "rate");
    }
    struct error err = {0};
    assert_true(bucket_rule_make(1, -1, &rule, &err) < 0);
    assert_string_equal(err.field, "burst");
    assert_true(bucket_rule_make(1, BUCKET_BURST_MAX + 1, &rule, NULL) < 0);
}

// In any stretch of time no more than burst + rate × time pass, and nobody is refused while a token
// is there.
static void random_arrivals_are_judged_as_a_bucket_with_fractions_would(void **state)
{
    uint64_t seed = chosen_seed();
    int64_t taken = 0, refused = 0;

    (void)state;
    printf("SEED=%" PRIu64 "\n", seed);
    for (uint32_t round = 0; round < 200; round++) {
        struct bucket_rule rule = rule_of(0.1 + 50 * random_unit(seed, round, 0),
                                          (int64_t)(1 + random_u64(seed, round, 1) % 20));
        __int128 level = (__int128)rule.burst * rule.interval_ns; // in ns of refill
        struct bucket b = {0};
        int64_t now = START;
        for (uint32_t i = 0; i < 200; i++) {
            int64_t step =
                (int64_t)(random_unit(seed, round, 2 + i) * 2 * (double)rule.interval_ns);
            now += step;
            level += step;
            if (level > (__int128)rule.burst * rule.interval_ns)
                level = (__int128)rule.burst * rule.interval_ns;
            bool expected = level >= rule.interval_ns;
            struct bucket_view v;
            assert_int_equal(bucket_take(&b, &rule, now, &v), expected);
            level -= expected ? rule.interval_ns : 0;
            assert_true(v.remaining == (int64_t)(level / rule.interval_ns));
            taken += expected;
            refused += !expected;
        }
    }
    printf("%" PRId64 " taken, %" PRId64 " refused\n", taken, refused);
    assert_true(taken > 0 && refused > 0);
}

static struct bucket shared;
static atomic_int shared_taken;

static void *take_many(void *argument)
{
    const struct bucket_rule *rule = argument;

    for (int i = 0; i < 10000; i++)
        atomic_fetch_add(&shared_taken, bucket_take(&shared, rule, START, NULL));
    return NULL;
}

static void threads_together_take_exactly_the_burst(void **state)
{
    struct bucket_rule rule = rule_of(1, 15000);
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &rule), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&shared_taken), 15000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_gives_its_burst_and_then_one_per_interval),
        cmocka_unit_test(a_bucket_never_holds_more_than_its_burst),
        cmocka_unit_test(a_burst_of_zero_is_a_seconds_worth),
        cmocka_unit_test(what_is_out_of_bounds_is_refused_by_field),
        cmocka_unit_test(random_arrivals_are_judged_as_a_bucket_with_fractions_would),
        cmocka_unit_test(threads_together_take_exactly_the_burst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
