#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void memory_is_zeroed_aligned_and_apart_also_after_clearing(void **state)
{
    struct arena a;
    int examined = 0;

    (void)state;
    arena_init(&a);
    for (int round = 0; round < 3; round++) {
        unsigned char *last = NULL;
        for (size_t size = 1; size < 3000; size += 7) {
            unsigned char *memory = arena_alloc(&a, size);
            assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
            assert_ptr_not_equal(memory, last);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(memory[i], 0);
            memset(memory, 0xff, size);
            last = memory;
            examined++;
        }
        arena_clear(&a);
    }
    assert_true(examined > 1000);
    arena_fini(&a);
    arena_fini(&a); // once more does no harm
}

static void what_is_larger_than_a_block_gets_its_own(void **state)
{
    struct arena a;
    char *small, *large;

    (void)state;
    arena_init(&a);
    small = arena_strdup(&a, "small");
    large = arena_alloc(&a, 1 << 20);
    memset(large, 1, 1 << 20);
    assert_string_equal(small, "small");
    arena_clear(&a);
    assert_non_null(arena_alloc(&a, 10));
    arena_fini(&a);
}

static void strings_are_copied_cut_and_formatted(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_null(arena_strdup(&a, NULL));
    assert_string_equal(arena_strdup(&a, ""), "");
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_printf(&a, "%s-%d", "node", 7), "node-7");
    assert_string_equal(arena_printf(&a, "%s", ""), "");
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_apart_also_after_clearing),
        cmocka_unit_test(what_is_larger_than_a_block_gets_its_own),
        cmocka_unit_test(strings_are_copied_cut_and_formatted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
