#include "base/hash.h"
#include "tests/unit/base_unit.h"

#include <string.h>

// Fingerprints and page tokens outlive the program that made them.
static void the_value_of_given_bytes_never_changes(void **state)
{
    (void)state;
    assert_true(hash_text(HASH_START, "") == UINT64_C(0xf8bb92c91b3f5cc0));
    assert_true(hash_text(HASH_START, "twenty-one characters") == UINT64_C(0x357a2ed1ccfcaf9e));
    assert_true(hash_bytes(HASH_START, "twenty-one characters", 21) ==
                UINT64_C(0x357a2ed1ccfcaf9e));
}

static void where_a_part_ends_makes_a_difference(void **state)
{
    (void)state;
    assert_true(hash_text(hash_text(HASH_START, "ab"), "c") !=
                hash_text(hash_text(HASH_START, "a"), "bc"));
    assert_true(hash_text(hash_text(HASH_START, "abc"), "") != hash_text(HASH_START, "abc"));
    assert_true(hash_bytes(HASH_START, "a\0", 2) != hash_bytes(HASH_START, "a", 1));
}

// 4,096 numbers in 4,096 slots, by the low bits: chance leaves 37 % of them empty.
static void similar_bytes_spread_over_the_low_bits(void **state)
{
    static unsigned char taken[4096];
    unsigned slots = 0;

    (void)state;
    memset(taken, 0, sizeof(taken));
    for (uint64_t i = 0; i < 4096; i++)
        taken[hash_bytes(HASH_START, &i, sizeof(i)) % 4096] = 1;
    for (size_t i = 0; i < COUNT(taken); i++)
        slots += taken[i];
    assert_in_range(slots, 2400, 2800);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_of_given_bytes_never_changes),
        cmocka_unit_test(where_a_part_ends_makes_a_difference),
        cmocka_unit_test(similar_bytes_spread_over_the_low_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
