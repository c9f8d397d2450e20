#include "base/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void a_pattern_matches_what_it_says_and_nothing_else(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "a.b", true},
        {"?", "", false},
        {"?", "a", true},
        {"a", "a", true},
        {"a", "ab", false},
        {"ab", "a", false},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"*b", "abc", false},
        {"a*c", "ac", true},
        {"a*c*e", "abcde", true},
        {"a*c*e", "abcd", false},
        {"**a**", "bab", true},
        {"instances.*", "instances.list", true},
        {"instances.*", "instance", false},
        {"*.list", "routes.list", true},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"[a]", "a", false},
        {"*ab*ab", "abab", true},
        {"*ab*ab", "aab", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (glob_match(cases[i].pattern, cases[i].text) != cases[i].matches)
            fail_msg("%s on %s", cases[i].pattern, cases[i].text);
    printf("%zu patterns examined\n", sizeof(cases) / sizeof(cases[0]));
}

static void a_hostile_pattern_takes_no_exponential_time(void **state)
{
    char pattern[512], text[2048];

    (void)state;
    for (size_t i = 0; i + 2 < sizeof(pattern); i += 2)
        memcpy(pattern + i, "*a", 2);
    strcpy(pattern + sizeof(pattern) - 2, "b");
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_false(glob_match(pattern, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_matches_what_it_says_and_nothing_else),
        cmocka_unit_test(a_hostile_pattern_takes_no_exponential_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
