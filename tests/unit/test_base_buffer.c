#include "base/arena.h"
#include "base/buffer.h"
#include "tests/unit/base_unit.h"

#include <stdlib.h>
#include <string.h>

// Under AddressSanitizer an allocation that is too large returns NULL, as malloc's does.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=512";
}

static void test_what_is_appended_comes_out_in_order(void **state)
{
    struct buffer b;
    size_t length;
    char *text;

    (void)state;
    buffer_init(&b);
    buffer_append(&b, "ab", 2);
    buffer_append_string(&b, "cd");
    buffer_printf(&b, "%d-%s", 7, "ef");
    text = buffer_take(&b, &length);
    assert_string_equal(text, "abcd7-ef");
    assert_int_equal(length, 8);
    assert_null(b.data);
    free(text);
}

static void test_a_long_printf_is_whole(void **state)
{
    struct buffer b;
    char *text;

    (void)state;
    buffer_init(&b);
    buffer_printf(&b, "%05000d", 1);
    buffer_append_string(&b, "!");
    assert_int_equal(b.length, 5001);
    text = buffer_take(&b, NULL);
    assert_string_equal(text + 4999, "1!");
    free(text);
}

static void test_it_grows_over_many_appends(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b);
    for (int i = 0; i < 100000; i++)
        buffer_append(&b, &(char){(char)(i % 128)}, 1);
    assert_int_equal(b.length, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], i % 128);
    buffer_fini(&b);
}

static void test_an_empty_buffer_is_taken_as_an_empty_string(void **state)
{
    struct buffer b;
    size_t length = 1;
    char *text;

    (void)state;
    buffer_init(&b);
    buffer_append(&b, NULL, 0);
    text = buffer_take(&b, &length);
    assert_string_equal(text, "");
    assert_int_equal(length, 0);
    free(text);
}

static void test_when_memory_runs_out_it_fails_drops_everything_and_ignores_appends(void **state)
{
    static const size_t impossible[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 8, SIZE_MAX / 4 + 1};

    (void)state;
    for (size_t i = 0; i < COUNT(impossible); i++) {
        struct buffer b;
        buffer_init(&b);
        buffer_append_string(&b, "kept?");
        buffer_reserve(&b, impossible[i]);
        assert_true(b.failed);
        assert_null(b.data);
        buffer_append_string(&b, "more");
        buffer_printf(&b, "%d", 1);
        assert_int_equal(b.length, 0);
        assert_null(buffer_take(&b, NULL));
        assert_false(b.failed);
    }
}

static void test_clear_makes_a_failed_buffer_usable_again(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b);
    buffer_reserve(&b, SIZE_MAX);
    buffer_clear(&b);
    buffer_append_string(&b, "x");
    assert_false(b.failed);
    assert_int_equal(b.length, 1);
    buffer_fini(&b);
}

static void test_arena_pieces_are_zero_aligned_and_do_not_overlap(void **state)
{
    struct arena a;
    unsigned char *pieces[500];

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        size_t size = i * 37 % 4000 + 1;
        pieces[i] = arena_alloc(&a, size);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)(i % 251) + 1, size);
    }
    for (size_t i = 0; i < COUNT(pieces); i++)
        for (size_t k = 0; k < i * 37 % 4000 + 1; k++)
            assert_int_equal(pieces[i][k], i % 251 + 1);
    arena_fini(&a);
}

static void test_arena_serves_again_after_clear_and_large_pieces_are_whole(void **state)
{
    struct arena a;
    char *large;

    (void)state;
    arena_init(&a);
    arena_clear(&a);
    for (int round = 0; round < 3; round++) {
        assert_string_equal(arena_printf(&a, "%s-%d", "round", round) + strlen("round-"),
                            round == 0   ? "0"
                            : round == 1 ? "1"
                                         : "2");
        large = arena_alloc(&a, 1 << 20);
        memset(large, 'x', 1 << 20);
        assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
        assert_null(arena_strdup(&a, NULL));
        arena_clear(&a);
    }
    arena_fini(&a);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_appended_comes_out_in_order),
        cmocka_unit_test(test_a_long_printf_is_whole),
        cmocka_unit_test(test_it_grows_over_many_appends),
        cmocka_unit_test(test_an_empty_buffer_is_taken_as_an_empty_string),
        cmocka_unit_test(test_when_memory_runs_out_it_fails_drops_everything_and_ignores_appends),
        cmocka_unit_test(test_clear_makes_a_failed_buffer_usable_again),
        cmocka_unit_test(test_arena_pieces_are_zero_aligned_and_do_not_overlap),
        cmocka_unit_test(test_arena_serves_again_after_clear_and_large_pieces_are_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
