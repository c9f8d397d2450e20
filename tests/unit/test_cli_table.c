// The table of verbs is whole, and the small pure parts around it: suggestions, conditions, ages.
#include "base/timefmt.h"
#include "cli/output.h"
#include "cli/spec.h"
#include "cli/suggest.h"
#include "cli/verbs.h"
#include "cli/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void every_verb_is_found_described_and_runnable(void **state)
{
    size_t count = 0;

    (void)state;
    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++, count++) {
        assert_ptr_equal(spec_verb(verb->kind, verb->name), verb); // and no other has its name
        assert_non_null(verb->run);
        assert_non_null(verb->operands);
        assert_non_null(verb->examples[0]);
        assert_int_equal(verb->operands[0] == '\0', verb->max_operands == 0);
        assert_true(verb->min_operands <= verb->max_operands);
        if (verb->run == verb_act)
            assert_non_null(strstr(verb->path, "{}"));
    }
    assert_true(count > 60);
}

static void no_verb_has_two_flags_of_one_name(void **state)
{
    size_t count = 0;

    (void)state;
    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++)
        for (size_t i = 0; i < VERB_FLAG_GROUPS && verb->flags[i] != NULL; i++)
            for (const struct flag *flag = verb->flags[i]; flag->name != NULL; flag++, count++) {
                assert_ptr_equal(spec_flag(verb, flag->name), flag);
                assert_null(spec_flag(NULL, flag->name)); // nor one of every command
                assert_int_equal(flag->type == FLAG_BOOL, flag->value == NULL);
                assert_int_equal(flag->type == FLAG_CHOICE || flag->type == FLAG_CHOICES,
                                 flag->choices != NULL);
                assert_true(flag->type == FLAG_TAG || flag->use == USE_CLI || flag->field != NULL);
            }
    assert_true(count > 200);
}

static void every_alias_means_a_verb_and_waits_are_well_formed(void **state)
{
    struct failure failure = {0};
    size_t count = 0;

    (void)state;
    for (const struct alias *alias = spec_aliases; alias->name != NULL; alias++, count++)
        assert_non_null(spec_top_verb(alias->name));
    assert_true(count >= 5);
    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++) {
        if (spec_flag(verb, "wait") != NULL)
            assert_non_null(verb->done);
        if (verb->done != NULL)
            assert_int_equal(wait_check(verb->kind, verb->done, &failure), EXIT_OK);
    }
}

static void states_that_flags_offer_are_those_of_the_kind(void **state)
{
    size_t count = 0;

    (void)state;
    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++) {
        const struct flag *flag = spec_flag(verb, "state");

        if (flag != NULL) {
            assert_string_equal(flag->choices, verb->kind->states);
            count++;
        }
    }
    assert_true(count >= 9);
}

static void the_nearest_word_is_suggested_and_a_far_one_is_not(void **state)
{
    struct suggestion s;

    (void)state;
    assert_int_equal(suggest_distance("terminate", "terminate"), 0);
    assert_int_equal(suggest_distance("termintae", "terminate"), 1);
    assert_int_equal(suggest_distance("", "ls"), 2);
    assert_int_equal(suggest_distance("stop", "start"), 3);
    suggest_init(&s, "stpo");
    suggest_offer(&s, "start");
    assert_null(s.best);
    suggest_offer(&s, "stop");
    suggest_offer(&s, "step");
    assert_string_equal(s.best, "stop");
    suggest_init(&s, "a-very-long-word-that-nobody-would-ever-type-in-their-life-I-hope-so");
    suggest_offer(&s, "ls");
    assert_null(s.best);
}

static void a_condition_is_met_by_what_it_says_and_nothing_else(void **state)
{
    json_t *d = json_loads("{\"state\":\"running\",\"revision\":7,\"external_ip\":true,"
                           "\"tags\":{\"a.b\":\"c,d\",\"e\":\"\"}}",
                           0, NULL);
    json_t *deleted = json_loads("{\"state\":\"deleted\"}", 0, NULL);

    (void)state;
    assert_true(wait_met("state=running", d, true));
    assert_true(wait_met("state=stopped,running", d, true));
    assert_false(wait_met("state=run", d, true));
    assert_false(wait_met("state=stopped,terminated", d, true));
    assert_true(wait_met("state=stopped|exists", d, true));
    assert_true(wait_met("tag.a.b=c,d", d, true));
    assert_false(wait_met("tag.a.b=c", d, true));
    assert_true(wait_met("tag.e=", d, true));
    assert_false(wait_met("tag.f=", d, true));
    assert_true(wait_met("revision=7", d, true));
    assert_true(wait_met("external_ip=true", d, true));
    assert_false(wait_met("deleted", d, true));
    assert_true(wait_met("deleted", d, false));
    assert_true(wait_met("deleted", deleted, true));
    assert_true(wait_met("state=terminated|deleted", NULL, false));
    assert_false(wait_met("exists", NULL, false));
    assert_false(wait_met("state=running", NULL, false));
    json_decref(d);
    json_decref(deleted);
}

static void ages_are_short_at_every_size(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {{-5, "0s"},      {0, "0s"},      {119, "119s"},        {120, "2m"},
                 {192, "3m12s"},  {600, "10m"},   {10799, "179m"},      {10800, "3h"},
                 {172799, "47h"}, {172800, "2d"}, {86400 * 400, "400d"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer cell;

        buffer_init(&cell);
        output_age(cases[i].seconds * NS_PER_S, &cell);
        buffer_append(&cell, "", 1);
        assert_string_equal(cell.data, cases[i].text);
        buffer_fini(&cell);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_is_found_described_and_runnable),
        cmocka_unit_test(no_verb_has_two_flags_of_one_name),
        cmocka_unit_test(every_alias_means_a_verb_and_waits_are_well_formed),
        cmocka_unit_test(states_that_flags_offer_are_those_of_the_kind),
        cmocka_unit_test(the_nearest_word_is_suggested_and_a_far_one_is_not),
        cmocka_unit_test(a_condition_is_met_by_what_it_says_and_nothing_else),
        cmocka_unit_test(ages_are_short_at_every_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
