#include "base/random.h"
#include "base/timefmt.h"
#include "tests/unit/base_unit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define S NS_PER_S
#define UNTOUCHED INT64_C(-77)

static void test_times_are_read_and_printed(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
        const char *printed;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z"},
        {"2026-01-01T00:00:00Z", 1767225600 * S, "2026-01-01T00:00:00.000Z"},
        {"2026-01-01t00:00:00z", 1767225600 * S, "2026-01-01T00:00:00.000Z"},
        {"2026-01-01T02:30:00+02:30", 1767225600 * S, "2026-01-01T00:00:00.000Z"},
        {"2025-12-31T18:00:00-06:00", 1767225600 * S, "2026-01-01T00:00:00.000Z"},
        {"2026-01-01T00:00:00.5Z", 1767225600 * S + S / 2, "2026-01-01T00:00:00.500Z"},
        {"2026-01-01T00:00:00.123456789Z", 1767225600 * S + 123456789, "2026-01-01T00:00:00.123Z"},
        {"2000-02-29T12:00:00Z", 951825600 * S, "2000-02-29T12:00:00.000Z"},
        {"2024-02-29T23:59:59.999Z", 1709251199 * S + 999 * NS_PER_MS, "2024-02-29T23:59:59.999Z"},
        {"2200-12-31T23:59:59.999999999Z", INT64_C(7289654399999999999),
         "2200-12-31T23:59:59.999Z"},
        {"1969-12-31T23:00:00-01:00", 0, "1970-01-01T00:00:00.000Z"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[TIME_TEXT_MAX];
        struct error err = {0};
        int64_t ns = UNTOUCHED;
        assert_int_equal(time_parse(rows[i].text, &ns, &err), 0);
        assert_int_equal(ns, rows[i].ns);
        time_format(ns, text);
        assert_string_equal(text, rows[i].printed);
    }
}

static void test_what_is_no_rfc_3339_time_is_refused_and_leaves_the_output_alone(void **state)
{
    static const char *const rows[] = {
        "",
        "2026",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-1-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00ZZ",
        "2026-01-01T00:00:00Z ",
        " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00+0200",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+02:60",
        "2026-01-01T00:00:00+2:00",
        "1969-12-31T23:59:59Z",
        "2201-01-01T00:00:00Z",
        "2200-12-31T23:59:59-00:01",
        "-2026-01-01T00:00:00Z",
        "20260101T000000Z",
        "99999-01-01T00:00:00Z",
        "now",
        "2026-01-01T00:00:00.-5Z",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        int64_t ns = UNTOUCHED;
        if (time_parse(rows[i], &ns, &err) != -ERROR_INVALID)
            fail_msg("\"%s\" was taken", rows[i]);
        assert_int_equal(ns, UNTOUCHED);
        assert_int_equal(err.code, ERROR_INVALID);
    }
}

static void test_printing_agrees_with_the_c_library_over_all_years(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 84370; day++) { // 1970-01-01 to 2200-12-30
        int64_t ns = (day * 86400 + day % 86400) * S;
        time_t seconds = (time_t)(ns / S);
        char text[TIME_TEXT_MAX], expected[TIME_TEXT_MAX];
        struct tm tm;
        int64_t back;
        time_format(ns, text);
        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
        assert_string_equal(text, expected);
        assert_int_equal(time_parse(text, &back, NULL), 0);
        assert_int_equal(back, ns);
    }
}

static void test_times_before_1970_and_at_the_ends_are_printed_too(void **state)
{
    char text[TIME_TEXT_MAX];

    (void)state;
    time_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    time_format(INT64_MIN, text);
    assert_string_equal(text, "1677-09-21T00:12:43.145Z");
    time_format(INT64_MAX, text);
    assert_string_equal(text, "2262-04-11T23:47:16.854Z");
}

static void test_durations_are_read_and_printed(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
        const char *printed;
    } rows[] = {
        {"0", 0, "0s"},
        {"0s", 0, "0s"},
        {"0h0m", 0, "0s"},
        {"1ns", 1, "1ns"},
        {"300ms", 300 * NS_PER_MS, "300ms"},
        {"1.5s", 1500 * NS_PER_MS, "1.5s"},
        {".5s", 500 * NS_PER_MS, "500ms"},
        {"1.s", S, "1s"},
        {"1500us", 1500000, "1.5ms"},
        {"1h30m", 5400 * S, "1h30m"},
        {"90m", 5400 * S, "1h30m"},
        {"1m1ms", 60 * S + NS_PER_MS, "1m0.001s"},
        {"1h1s", 3601 * S, "1h1s"},
        {"1s1s", 2 * S, "2s"},
        {"0.000000001s", 1, "1ns"},
        {"1.000000001s", S + 1, "1.000000001s"},
        {"0.1h", 360 * S, "6m"},
        {"0.0000000001s", 0, "0s"},
        {"0.333333333333333333333333h", 1200 * S - 1, "19m59.999999999s"},
        {"8760h", DURATION_MAX, "8760h"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[DURATION_TEXT_MAX];
        int64_t ns = UNTOUCHED;
        assert_int_equal(duration_parse(rows[i].text, &ns, NULL), 0);
        assert_int_equal(ns, rows[i].ns);
        duration_format(ns, text);
        assert_string_equal(text, rows[i].printed);
    }
}

static void test_what_is_no_duration_is_refused_and_leaves_the_output_alone(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "1",
        "5 s",
        "s",
        ".s",
        ".",
        "-1s",
        "+1s",
        "1x",
        "1s ",
        " 1s",
        "1d",
        "1S",
        "1sm",
        "00",
        "1e3s",
        "0x1s",
        "1..5s",
        "1.5.5s",
        "8760h1ns",
        "8761h",
        "999999999999999999.999999999999999h",
        "inf",
        "nan",
        "99999999999999999999999999h",
        "8760h0.000000001s",
        "9999999999999999999999ns",
        "1,5s",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        int64_t ns = UNTOUCHED;
        if (duration_parse(rows[i], &ns, &err) != -ERROR_INVALID)
            fail_msg("\"%s\" was taken", rows[i]);
        assert_int_equal(ns, UNTOUCHED);
        assert_true(strlen(err.message) > 0);
    }
}

static void test_any_duration_reads_back_to_the_same_value(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 20000; i++) {
        uint64_t draw = random_u64(1, i, 0) >> (i % 64);
        int64_t ns = (int64_t)(draw % (uint64_t)(DURATION_MAX + 1)), back;
        char text[DURATION_TEXT_MAX];
        duration_format(ns, text);
        assert_int_equal(duration_parse(text, &back, NULL), 0);
        assert_int_equal(back, ns);
    }
}

static void test_any_duration_fits_its_text(void **state)
{
    char text[DURATION_TEXT_MAX];

    (void)state;
    duration_format(INT64_MAX, text);
    assert_string_equal(text, "2562047h47m16.854775807s");
    duration_format(INT64_MIN, text);
    assert_string_equal(text, "-2562047h47m16.854775808s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_read_and_printed),
        cmocka_unit_test(test_what_is_no_rfc_3339_time_is_refused_and_leaves_the_output_alone),
        cmocka_unit_test(test_printing_agrees_with_the_c_library_over_all_years),
        cmocka_unit_test(test_times_before_1970_and_at_the_ends_are_printed_too),
        cmocka_unit_test(test_durations_are_read_and_printed),
        cmocka_unit_test(test_what_is_no_duration_is_refused_and_leaves_the_output_alone),
        cmocka_unit_test(test_any_duration_reads_back_to_the_same_value),
        cmocka_unit_test(test_any_duration_fits_its_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
