// Query strings, page tokens, and who may call from where.
#include "api/auth.h"
#include "api/query.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct arena arena;

static int reset(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static const struct endpoint *endpoint_of(const char *operation)
{
    for (size_t i = 0; i < endpoint_count; i++)
        if (strcmp(endpoints[i].operation, operation) == 0)
            return &endpoints[i];
    fail_msg("no operation %s", operation);
    return NULL;
}

static int parse(const char *operation, const char *text, struct query *out, struct error *err)
{
    return query_parse(endpoint_of(operation), (struct span){text, strlen(text)}, &arena, out, err);
}

static void a_bad_query_is_refused_by_name(void **state)
{
    static const struct {
        const char *text, *field;
        enum error_code code;
    } bad[] = {
        {"colour=red", "colour", ERROR_UNKNOWN_FIELD},
        {"network=x", "network", ERROR_UNKNOWN_FIELD},
        {"limit=0", "limit", ERROR_INVALID},
        {"limit=10001", "limit", ERROR_INVALID},
        {"limit=+1", "limit", ERROR_INVALID},
        {"limit=1x", "limit", ERROR_INVALID},
        {"limit", "limit", ERROR_INVALID},
        {"zone=a&zone=b", "zone", ERROR_INVALID},
        {"lifecycle=eternal", "lifecycle", ERROR_INVALID},
        {"tag.=x", "tag.", ERROR_INVALID},
        {"tag.a=1&tag.a=2", "tag.a", ERROR_INVALID},
        {"name=%", "name", ERROR_INVALID},
        {"name=%4", "name", ERROR_INVALID},
        {"name=%zz", "name", ERROR_INVALID},
        {"name=%00", "name", ERROR_INVALID},
        {"%zz=1", "query", ERROR_INVALID},
        {"page_token=x", "page_token", ERROR_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = {0};
        struct query q;
        if (parse("instances.list", bad[i].text, &q, &err) >= 0)
            fail_msg("%s was taken", bad[i].text);
        if (err.code != bad[i].code || strcmp(err.field, bad[i].field) != 0)
            fail_msg("%s: %s, field %s", bad[i].text, error_string(err.code), err.field);
    }
    printf("%zu queries examined\n", sizeof(bad) / sizeof(bad[0]));
}

static void a_query_is_decoded(void **state)
{
    struct query q;

    (void)state;
    assert_int_equal(
        parse("instances.list", "zone=a%2fb&tag.k%20x=1+2&limit=5&&state=running", &q, NULL), 0);
    assert_string_equal(q.values[QUERY_INDEX_ZONE], "a/b");
    assert_int_equal(q.tag_count, 1);
    assert_string_equal(q.tags[0].key, "k x");
    assert_string_equal(q.tags[0].value, "1 2");
    assert_int_equal(q.limit, 5);
    assert_string_equal(q.values[QUERY_INDEX_STATE], "running");
}

static void without_a_query_the_defaults_hold(void **state)
{
    struct query q;

    (void)state;
    assert_int_equal(parse("events.list", "", &q, NULL), 0);
    assert_int_equal(q.limit, LIMIT_DEFAULT);
    assert_int_equal(q.kind, -1);
    assert_int_equal(q.since, 0);
    assert_int_equal(q.given, 0);
}

static void a_page_token_belongs_to_its_list_and_filters(void **state)
{
    char token[PAGE_TOKEN_MAX], text[128];
    struct query first, next;

    (void)state;
    assert_int_equal(parse("instances.list", "zone=a&limit=3", &first, NULL), 0);
    page_token_make(token, first.fingerprint, 1234567890123);
    snprintf(text, sizeof(text), "page_token=%s&limit=7&zone=a", token);
    assert_int_equal(parse("instances.list", text, &next, NULL), 0);
    assert_true(next.after == 1234567890123);
    snprintf(text, sizeof(text), "page_token=%s&zone=b", token);
    assert_int_equal(parse("instances.list", text, &next, NULL), -ERROR_INVALID);
    snprintf(text, sizeof(text), "page_token=%s", token);
    assert_int_equal(parse("routes.list", text, &next, NULL), -ERROR_INVALID);
    snprintf(text, sizeof(text), "page_token=%s0&zone=a", token);
    assert_int_equal(parse("instances.list", text, &next, NULL), 0); // another position
    token[3] = token[3] == '0' ? '1' : '0';
    snprintf(text, sizeof(text), "page_token=%s&zone=a", token);
    assert_int_equal(parse("instances.list", text, &next, NULL), -ERROR_INVALID);
}

static void states_become_a_mask(void **state)
{
    static const char *const names[] = {"a", "b", "c", NULL};
    uint32_t mask = 0;

    (void)state;
    assert_int_equal(states_parse("c,a", names, &mask, NULL), 0);
    assert_int_equal(mask, 5);
    assert_int_equal(states_parse("a,", names, &mask, NULL), -ERROR_INVALID);
    assert_int_equal(states_parse("", names, &mask, NULL), -ERROR_INVALID);
    assert_int_equal(states_parse("ab", names, &mask, NULL), -ERROR_INVALID);
}

static const char *const allowed[] = {"localhost", "127.0.0.1", "[::1]", "mock.example", NULL};

static void a_host_is_allowed_by_name_with_any_port(void **state)
{
    static const char *const good[] = {"localhost", "LocalHost:1", "127.0.0.1:65535",
                                       "[::1]",     "[::1]:9080",  "mock.example:443"};
    static const char *const bad[] = {"",
                                      ":9080",
                                      "localhost:",
                                      "localhost:0",
                                      "localhost:65536",
                                      "localhost:x",
                                      "localhost:-1",
                                      "localhost.evil",
                                      "127.0.0.1.evil:80",
                                      "[::1",
                                      "[::1]x",
                                      "[::2]",
                                      "::1",
                                      "evil",
                                      "user@localhost",
                                      "localhost:80:80"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!host_allowed(good[i], allowed))
            fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (host_allowed(bad[i], allowed))
            fail_msg("%s was allowed", bad[i]);
}

static void an_origin_is_ours_by_host_and_port(void **state)
{
    (void)state;
    assert_true(origin_allowed("http://localhost:9080", "127.0.0.1:9080", allowed));
    assert_true(origin_allowed("https://mock.example", "mock.example", allowed));
    assert_false(origin_allowed("http://localhost:3000", "localhost:9080", allowed));
    assert_false(origin_allowed("http://evil.example:9080", "localhost:9080", allowed));
    assert_false(origin_allowed("null", "localhost:9080", allowed));
    assert_false(origin_allowed("file://", "localhost", allowed));
    assert_false(origin_allowed("http://", "localhost", allowed));
    assert_false(origin_allowed("ftp://localhost", "localhost", allowed));
    assert_false(origin_allowed("http://localhost:9080/x", "localhost:9080", allowed));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, clear)
    const struct CMUnitTest tests[] = {
        TEST(a_bad_query_is_refused_by_name),
        TEST(a_query_is_decoded),
        TEST(without_a_query_the_defaults_hold),
        TEST(a_page_token_belongs_to_its_list_and_filters),
        TEST(states_become_a_mask),
        TEST(a_host_is_allowed_by_name_with_any_port),
        TEST(an_origin_is_ours_by_host_and_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
