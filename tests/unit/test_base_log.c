#include "base/log.h"
#include "tests/unit/base_unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Standard error goes into a temporary file while a test runs.
static FILE *captured;
static int saved_stderr;

static int setup(void **state)
{
    (void)state;
    captured = tmpfile();
    saved_stderr = dup(STDERR_FILENO);
    return captured && dup2(fileno(captured), STDERR_FILENO) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    fclose(captured);
    return 0;
}

// What follows the time stamp of the next line, without the newline.
static const char *next_line(void)
{
    static char line[4096];
    char *rest;

    if (!fgets(line, sizeof(line), captured))
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    rest = strstr(line, "Z");
    assert_non_null(rest);
    return rest + 1;
}

static void rewind_captured(void)
{
    fseek(captured, 0, SEEK_SET);
}

static void test_a_text_line_quotes_only_what_needs_it(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_INFO);
    log_line(LOG_INFO, "listening", "address", "http://127.0.0.1:9080", "why", "two words", NULL);
    log_line(LOG_ERROR, "bad", "value", "a\n\"b\"", "empty", "", NULL);
    rewind_captured();
    assert_string_equal(next_line(),
                        " INFO  listening address=http://127.0.0.1:9080 why=\"two words\"");
    assert_string_equal(next_line(), " ERROR bad value=\"a\\n\\\"b\\\"\" empty=\"\"");
}

static void test_a_json_line_is_one_object(void **state)
{
    (void)state;
    log_setup(LOG_JSON, LOG_DEBUG);
    log_line(LOG_WARN, "odd \"thing\"", "key", "v\n", NULL);
    rewind_captured();
    assert_string_equal(next_line(),
                        "\",\"level\":\"warn\",\"msg\":\"odd \\\"thing\\\"\",\"key\":\"v\\n\"}");
}

static void test_bytes_that_are_no_utf8_become_question_marks(void **state)
{
    static const struct {
        const char *value, *logged;
    } rows[] = {
        {"gr\xc3\xbcn", "gr\xc3\xbcn"},
        {"\xff\xfe", "??"},
        {"\xc3", "?"},
        {"\xc0\xaf", "??"},
        {"\xed\xa0\x80", "???"},
        {"\xe2\x82", "??"},
        {"\xf0\x9f\x8c\xa9!", "\xf0\x9f\x8c\xa9!"},
        {"\xf4\x90\x80\x80", "????"},
    };

    (void)state;
    log_setup(LOG_JSON, LOG_INFO);
    for (size_t i = 0; i < COUNT(rows); i++)
        log_line(LOG_INFO, "m", "v", rows[i].value, NULL);
    rewind_captured();
    for (size_t i = 0; i < COUNT(rows); i++) {
        char expected[100];
        snprintf(expected, sizeof(expected), "\",\"level\":\"info\",\"msg\":\"m\",\"v\":\"%s\"}",
                 rows[i].logged);
        assert_string_equal(next_line(), expected);
    }
}

static void test_lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_WARN);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_ERROR));
    log_line(LOG_INFO, "quiet", NULL);
    log_line(LOG_WARN, "loud", NULL);
    rewind_captured();
    assert_string_equal(next_line(), " WARN  loud");
    assert_null(next_line());
}

static void *log_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++)
        log_line(LOG_INFO, "together", "value", "never torn apart", NULL);
    return NULL;
}

static void test_lines_of_many_threads_stay_whole(void **state)
{
    pthread_t threads[4];
    const char *line;
    int lines = 0;

    (void)state;
    log_setup(LOG_TEXT, LOG_INFO);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    rewind_captured();
    for (; (line = next_line()); lines++)
        assert_string_equal(line, " INFO  together value=\"never torn apart\"");
    assert_int_equal(lines, 2000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_text_line_quotes_only_what_needs_it),
        TEST(test_a_json_line_is_one_object),
        TEST(test_bytes_that_are_no_utf8_become_question_marks),
        TEST(test_lines_below_the_level_are_not_written),
        TEST(test_lines_of_many_threads_stay_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
