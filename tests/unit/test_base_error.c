#include "base/error.h"
#include "tests/unit/base_unit.h"

#include <string.h>

static void test_error_set_returns_the_negative_code_and_fills_the_error(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(error_set(&err, ERROR_INVALID, "name", "too %s", "long"), -ERROR_INVALID);
    assert_int_equal(err.code, ERROR_INVALID);
    assert_string_equal(err.field, "name");
    assert_string_equal(err.message, "too long");
}

static void test_the_first_error_wins(void **state)
{
    struct error err = {0};

    (void)state;
    error_set(&err, ERROR_NOT_FOUND, NULL, "first");
    assert_int_equal(error_set(&err, ERROR_INTERNAL, "f", "second"), -ERROR_INTERNAL);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_string_equal(err.field, "");
    assert_string_equal(err.message, "first");
}

static void test_a_null_error_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, ERROR_STATE, "x", "y"), -ERROR_STATE);
}

static void test_long_text_is_cut_to_fit(void **state)
{
    struct error err = {0};
    char text[1000];

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    error_set(&err, ERROR_INVALID, text, "%s", text);
    assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
}

static void test_every_code_has_a_status_a_string_of_its_own_and_a_title(void **state)
{
    int codes = 0;

    (void)state;
    for (int a = ERROR_NONE + 1; a <= ERROR_STORAGE; a++, codes++) {
        assert_in_range(error_status((enum error_code)a), 400, 599);
        assert_true(strlen(error_title((enum error_code)a)) > 0);
        for (int b = ERROR_NONE; b < a; b++)
            assert_string_not_equal(error_string((enum error_code)a),
                                    error_string((enum error_code)b));
    }
    assert_true(codes > 20);
    assert_int_equal(error_status(ERROR_EXISTS), 409);
    assert_string_equal(error_string(ERROR_STATE), "illegal_transition");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_set_returns_the_negative_code_and_fills_the_error),
        cmocka_unit_test(test_the_first_error_wins),
        cmocka_unit_test(test_a_null_error_is_allowed),
        cmocka_unit_test(test_long_text_is_cut_to_fit),
        cmocka_unit_test(test_every_code_has_a_status_a_string_of_its_own_and_a_title),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
