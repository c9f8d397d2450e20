// Documents on their way out, altered; and read back.
#include "api/documents.h"
#include "api/wrong_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char instance[] =
    "{\"id\":\"i-1\",\"name\":\"one\",\"state\":\"running\",\"zone\":\"a\",\"type\":\"small\","
    "\"lifecycle\":\"spot\",\"addresses\":[{\"type\":\"internal\",\"family\":\"ipv4\","
    "\"address\":\"10.0.0.1\"},{\"type\":\"internal\",\"family\":\"ipv6\",\"address\":\"fd00::1\"},"
    "{\"type\":\"hostname\",\"address\":\"one.example\"}],\"tags\":{\"k\":\"v\"},"
    "\"created_at\":\"2026-01-01T00:00:00.000Z\",\"revision\":7}";

static json_t *altered(const char *text, enum fault_wrong wrong, int64_t skew, const char *name)
{
    struct fault fault = {
        .r.id = "flt-1",
        .effect = {.type = FAULT_WRONG_ANSWER, .wrong = wrong, .duration_ns = skew}};
    json_t *document = json_loads(text, 0, NULL);

    assert_non_null(document);
    wrong_answer(document, &fault, name);
    return document;
}

static void expect(json_t *document, const char *expected)
{
    char *text = json_dumps(document, JSON_COMPACT);

    assert_string_equal(text, expected);
    free(text);
    json_decref(document);
}

static void wrong_addresses_keep_their_types_and_families(void **unused)
{
    json_t *document = altered(instance, FAULT_WRONG_ADDRESSES, 0, NULL);
    json_t *addresses = json_object_get(document, "addresses"), *item;
    static const char *const starts[] = {"198.51.100.", "2001:db8::", "wrong-"};
    size_t i;

    (void)unused;
    json_array_foreach(addresses, i, item)
    {
        const char *text = json_string_value(json_object_get(item, "address"));
        assert_memory_equal(text, starts[i], strlen(starts[i]));
    }
    assert_int_equal(json_array_size(addresses), 3);
    json_decref(document);
}

static void what_a_document_does_not_have_stays_away(void **unused)
{
    static const char bare[] = "{\"name\":\"one\",\"revision\":7}";

    (void)unused;
    for (int wrong = FAULT_WRONG_ADDRESSES_MISSING; wrong <= FAULT_WRONG_CLOCK_SKEW; wrong++) {
        if (wrong != FAULT_WRONG_DUPLICATE_NAMES)
            expect(altered(bare, (enum fault_wrong)wrong, 1000000000, NULL), bare);
    }
    expect(altered(bare, FAULT_WRONG_DUPLICATE_NAMES, 0, NULL), bare);
    expect(altered(bare, FAULT_WRONG_DUPLICATE_NAMES, 0, "two"),
           "{\"name\":\"two\",\"revision\":7}");
}

static void clocks_do_not_go_before_1970(void **unused)
{
    (void)unused;
    expect(altered("{\"created_at\":\"2026-01-01T00:00:00.000Z\"}", FAULT_WRONG_CLOCK_SKEW,
                   -INT64_C(8000000000000000000), NULL),
           "{\"created_at\":\"1970-01-01T00:00:00.000Z\"}");
}

static json_t *numbers(size_t count)
{
    json_t *items = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(items, json_integer((json_int_t)i));
    return items;
}

static void an_order_is_a_permutation_of_the_chosen_places_and_never_the_old_one(void **unused)
{
    int examined = 0;

    (void)unused;
    for (uint64_t seed = 0; seed < 200; seed++) {
        size_t count = 2 + seed % 9, chosen_count = 0, moved = 0;
        json_t *items = numbers(count);
        bool chosen[16] = {false}, seen[16] = {false};

        for (size_t i = 0; i < count; i++) {
            chosen[i] = (seed >> i & 1) == 0;
            chosen_count += chosen[i];
        }
        wrong_order(items, chosen, seed);
        for (size_t i = 0; i < count; i++) {
            size_t value = (size_t)json_integer_value(json_array_get(items, i));
            assert_false(seen[value]);
            seen[value] = true;
            moved += value != i;
            assert_true(chosen[i] || value == i);
            assert_true(chosen[value] || value == i);
        }
        assert_true(chosen_count < 2 ? moved == 0 : moved > 0);
        json_decref(items);
        examined++;
    }
    print_message("%d orders examined\n", examined);
}

static void filters_read_documents(void **unused)
{
    json_t *document = json_loads(instance, 0, NULL);
    struct store_tag tag = {"k", "v"};
    struct query q = {0};

    (void)unused;
    assert_true(document_matches(document, &q));
    q.values[QUERY_INDEX_STATE] = "pending,running";
    q.values[QUERY_INDEX_NAME] = "one";
    q.values[QUERY_INDEX_LIFECYCLE] = "spot";
    q.tags = &tag;
    q.tag_count = 1;
    assert_true(document_matches(document, &q));
    q.values[QUERY_INDEX_STATE] = "run,runnings";
    assert_false(document_matches(document, &q));
    q.values[QUERY_INDEX_STATE] = NULL;
    q.values[QUERY_INDEX_NETWORK] = "default";
    assert_false(document_matches(document, &q));
    q.values[QUERY_INDEX_NETWORK] = NULL;
    tag.value = "w";
    assert_false(document_matches(document, &q));
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_addresses_keep_their_types_and_families),
        cmocka_unit_test(what_a_document_does_not_have_stays_away),
        cmocka_unit_test(clocks_do_not_go_before_1970),
        cmocka_unit_test(an_order_is_a_permutation_of_the_chosen_places_and_never_the_old_one),
        cmocka_unit_test(filters_read_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
