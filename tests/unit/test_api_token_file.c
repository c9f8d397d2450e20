// The file with the server's token.
#include "api/auth.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64], path[128];

static int setup(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/mockcloud-test-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof(path), "%s/deep/er/token", directory);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command);
}

static void put(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
}

static void a_missing_file_is_made_for_the_owner_alone_and_then_kept(void **state)
{
    char first[TOKEN_FILE_MAX], second[TOKEN_FILE_MAX], parent[128];
    struct stat status;

    (void)state;
    assert_int_equal(token_file_load(path, first, NULL), 0);
    assert_int_equal(strlen(first), 64);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    snprintf(parent, sizeof(parent), "%s/deep", directory);
    assert_int_equal(stat(parent, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(token_file_load(path, second, NULL), 0);
    assert_string_equal(first, second);
}

static void a_file_that_others_may_read_is_refused_by_name(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0666};
    char token[TOKEN_FILE_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct error err = {0};
        put("secret\n", modes[i]);
        assert_true(token_file_load(path, token, &err) < 0);
        assert_non_null(strstr(err.message, path));
    }
}

static void a_file_without_one_proper_token_is_refused_by_name(void **state)
{
    static const char *const texts[] = {"", "\n", "two words\n", "two\nlines\n", "\xc3\xa9\n"};
    char token[TOKEN_FILE_MAX], longest[400];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct error err = {0};
        put(texts[i], 0600);
        assert_true(token_file_load(path, token, &err) < 0);
        assert_non_null(strstr(err.message, path));
    }
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    put(longest, 0600);
    assert_true(token_file_load(path, token, NULL) < 0);
}

static void a_directory_in_its_place_is_refused_by_name(void **state)
{
    char token[TOKEN_FILE_MAX];
    struct error err = {0};

    (void)state;
    assert_true(token_file_load(directory, token, &err) < 0);
    assert_non_null(strstr(err.message, directory));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_made_for_the_owner_alone_and_then_kept),
        cmocka_unit_test(a_file_that_others_may_read_is_refused_by_name),
        cmocka_unit_test(a_file_without_one_proper_token_is_refused_by_name),
        cmocka_unit_test(a_directory_in_its_place_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
