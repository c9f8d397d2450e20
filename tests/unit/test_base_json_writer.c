#include "base/json_writer.h"
#include "tests/unit/base_unit.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct buffer out;
static struct json_writer w;

static int setup(void **state)
{
    (void)state;
    buffer_init(&out);
    jw_init(&w, &out);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buffer_fini(&out);
    return 0;
}

static void assert_written(const char *expected)
{
    buffer_append(&out, "", 1);
    assert_false(out.failed);
    assert_string_equal(out.data, expected);
    buffer_clear(&out);
    jw_init(&w, &out);
}

static void test_objects_and_arrays_nest_with_commas_where_they_belong(void **state)
{
    (void)state;
    jw_object_begin(&w);
    jw_field_string(&w, "a", "b");
    jw_key(&w, "list");
    jw_array_begin(&w);
    jw_int(&w, 1);
    jw_array_begin(&w);
    jw_array_end(&w);
    jw_object_begin(&w);
    jw_object_end(&w);
    jw_null(&w);
    jw_bool(&w, true);
    jw_raw(&w, "{\"raw\":1}", 9);
    jw_array_end(&w);
    jw_field_int(&w, "n", -5);
    jw_field_time(&w, "at", INT64_C(1767225600123000000));
    jw_object_end(&w);
    assert_written("{\"a\":\"b\",\"list\":[1,[],{},null,true,{\"raw\":1}],\"n\":-5,"
                   "\"at\":\"2026-01-01T00:00:00.123Z\"}");
}

static void test_nesting_goes_to_depth_63(void **state)
{
    (void)state;
    for (int i = 0; i < 63; i++)
        jw_array_begin(&w);
    for (int i = 0; i < 63; i++)
        jw_array_end(&w);
    assert_int_equal(out.length, 126);
}

static void test_control_characters_quotes_and_backslashes_are_escaped(void **state)
{
    static const struct {
        const char *text, *json;
    } rows[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"\"", "\"\\\"\""},
        {"\\", "\"\\\\\""},
        {"a\nb\tc\rd\be\ff", "\"a\\nb\\tc\\rd\\be\\ff\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
        {"/<>&'", "\"/<>&'\""},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\xa9",
         "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\xa9\""},
        {"\n\n", "\"\\n\\n\""},
        {"x\n", "\"x\\n\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        jw_string(&w, rows[i].text);
        assert_written(rows[i].json);
    }
    jw_string_n(&w, "a\0b", 3);
    assert_written("\"a\\u0000b\"");
}

static void test_every_byte_below_128_comes_out_as_json_reads_it(void **state)
{
    (void)state;
    for (int c = 1; c < 128; c++) {
        bool escaped = c < 0x20 || c == 0x7f || c == '"' || c == '\\';
        jw_string(&w, (char[]){(char)c, '\0'});
        assert_int_equal(out.data[1] == '\\', escaped);
        if (!escaped)
            assert_int_equal(out.length, 3);
        buffer_clear(&out);
        jw_init(&w, &out);
    }
}

static void test_integers_are_exact_to_both_ends(void **state)
{
    (void)state;
    jw_int(&w, INT64_MIN);
    assert_written("-9223372036854775808");
    jw_int(&w, INT64_MAX);
    assert_written("9223372036854775807");
    jw_int(&w, 0);
    assert_written("0");
}

static void test_doubles_are_short_and_read_back_the_same(void **state)
{
    static const double values[] = {0.1,    1.0 / 3, 1e6,       1e300,
                                    5e-324, DBL_MAX, 0.1 + 0.2, 123456.789};

    (void)state;
    jw_double(&w, 0.5);
    assert_written("0.5");
    jw_double(&w, 0.1);
    assert_written("0.1");
    jw_double(&w, 3);
    assert_written("3");
    for (size_t i = 0; i < COUNT(values); i++) {
        jw_double(&w, values[i]);
        buffer_append(&out, "", 1);
        assert_true(strtod(out.data, NULL) == values[i]);
        buffer_clear(&out);
        jw_init(&w, &out);
    }
}

static void test_a_failed_buffer_is_survived(void **state)
{
    (void)state;
    buffer_reserve(&out, SIZE_MAX);
    jw_object_begin(&w);
    jw_field_string(&w, "a", "b");
    jw_object_end(&w);
    assert_true(out.failed);
    assert_null(out.data);
}

// What is written for the byte alone, without its quotes.
static size_t escape_of(char byte, char expected[8])
{
    size_t length;

    buffer_clear(&out);
    jw_init(&w, &out);
    jw_string_n(&w, &byte, 1);
    length = out.length - 2;
    memcpy(expected, out.data + 1, length);
    return length;
}

static void test_a_byte_is_escaped_wherever_it_stands_among_others(void **state)
{
    char text[21], escape[8];
    size_t examined = 0;

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        size_t length = escape_of((char)byte, escape);
        for (size_t at = 0; at < sizeof(text); at++) {
            memset(text, '!', sizeof(text)); // 0x21, next to what needs an escape
            text[at] = (char)byte;
            buffer_clear(&out);
            jw_init(&w, &out);
            jw_string_n(&w, text, sizeof(text));
            assert_int_equal(out.length, 2 + sizeof(text) - 1 + length);
            assert_memory_equal(out.data + 1 + at, escape, length);
            examined++;
        }
    }
    assert_int_equal(examined, 256 * sizeof(text));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_objects_and_arrays_nest_with_commas_where_they_belong),
        TEST(test_nesting_goes_to_depth_63),
        TEST(test_control_characters_quotes_and_backslashes_are_escaped),
        TEST(test_every_byte_below_128_comes_out_as_json_reads_it),
        TEST(test_a_byte_is_escaped_wherever_it_stands_among_others),
        TEST(test_integers_are_exact_to_both_ends),
        TEST(test_doubles_are_short_and_read_back_the_same),
        TEST(test_a_failed_buffer_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
