// Request bodies: what is taken, and what is refused under which name.
#include "api/bodies.h"
#include "sim/cloud.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static union {
    struct change change;
    struct clock_change clock;
} target;
static struct arena arena;

static int reset(void **state)
{
    (void)state;
    memset(&target, 0, sizeof(target));
    arena_init(&arena);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static int parse(const struct schema *schema, const char *text, struct error *err)
{
    return json_in_body(schema, text, strlen(text), &arena, &target.change.request, err);
}

static void take(const struct schema *schema, const char *text)
{
    struct error err = {0};

    memset(&target.change.request, 0, sizeof(target.change.request));
    if (parse(schema, text, &err) < 0)
        fail_msg("%s: %s: %s", text, err.field, err.message);
}

struct refusal {
    const struct schema *schema;
    const char *text;
    enum error_code code;
    const char *field;
};

static const struct refusal refusals[] = {
    {&body_instance_create, "", ERROR_MALFORMED, ""},
    {&body_instance_create, "{", ERROR_MALFORMED, ""},
    {&body_instance_create, "{\"name\":\"a\",\"name\":\"b\"}", ERROR_MALFORMED, ""},
    {&body_instance_create, "[]", ERROR_INVALID, "body"},
    {&body_instance_create, "{\"x\":1}", ERROR_UNKNOWN_FIELD, "x"},
    {&body_instance_create, "{\"name\":\"\"}", ERROR_INVALID, "name"},
    {&body_instance_create, "{\"name\":\"a\\u0000b\"}", ERROR_INVALID, "name"},
    {&body_instance_create, "{\"name\":null}", ERROR_INVALID, "name"},
    {&body_instance_create, "{\"count\":0}", ERROR_INVALID, "count"},
    {&body_instance_create, "{\"count\":1.5}", ERROR_INVALID, "count"},
    {&body_instance_create, "{\"count\":2,\"addresses\":[]}", ERROR_INVALID, "addresses"},
    {&body_instance_create, "{\"ip_families\":[\"ipv4\",\"ipv4\"]}", ERROR_INVALID,
     "ip_families[1]"},
    {&body_instance_create, "{\"tags\":{\"k\":null}}", ERROR_INVALID, "tags.k"},
    {&body_instance_create, "{\"tags\":{\"\":\"v\"}}", ERROR_INVALID, "tags."},
    {&body_instance_create, "{\"addresses\":[{\"type\":\"internal\"}]}", ERROR_INVALID,
     "addresses[0].address"},
    {&body_instance_create, "{\"addresses\":[{\"type\":\"hostname\",\"address\":\"a b\"}]}",
     ERROR_INVALID, "addresses[0].address"},
    {&body_instance_create,
     "{\"addresses\":[{\"type\":\"internal\",\"address\":\"10.0.0.1\",\"family\":\"ipv6\"}]}",
     ERROR_INVALID, "addresses[0].family"},
    {&body_instance_update, "{}", ERROR_INVALID, "body"},
    {&body_instance_update, "{\"zone\":\"z\"}", ERROR_UNKNOWN_FIELD, "zone"},
    {&body_load_balancer_create,
     "{\"listeners\":[{\"protocol\":\"TCP\",\"port\":70000,\"target_pool_id\":\"p\","
     "\"target_port\":1}]}",
     ERROR_INVALID, "listeners[0].port"},
    {&body_load_balancer_create, "{\"source_ranges\":[\"0.0.0.0/0\",\"10.0.0.1/8\"]}",
     ERROR_INVALID, "source_ranges[1]"},
    {&body_load_balancer_create, "{\"address_ids\":[\"a\"],\"ip_families\":[\"ipv4\"]}",
     ERROR_INVALID, "ip_families"},
    {&body_target_pool_create, "{\"targets\":[{}]}", ERROR_INVALID, "targets[0]"},
    {&body_target_pool_create, "{\"targets\":[{\"instance_id\":\"i\",\"address\":\"::1\"}]}",
     ERROR_INVALID, "targets[0]"},
    {&body_target_pool_create, "{\"health_check\":{}}", ERROR_INVALID, "health_check.protocol"},
    {&body_targets_add, "{\"targets\":[]}", ERROR_INVALID, "targets"},
    {&body_address_create, "{\"family\":\"ipv4\",\"address\":\"::1\"}", ERROR_INVALID, "family"},
    {&body_route_create, "{\"next_hop\":{\"address\":\"10.0.0.1\"}}", ERROR_INVALID,
     "destination_cidr"},
    {&body_route_create, "{\"destination_cidr\":\"10.0.0.0/8\",\"next_hop\":{}}", ERROR_INVALID,
     "next_hop"},
    {&body_latency_put, "{\"distribution\":\"fixed\"}", ERROR_INVALID, "value"},
    {&body_latency_put, "{\"distribution\":\"fixed\",\"value\":\"1s\",\"min\":\"1s\"}",
     ERROR_INVALID, "min"},
    {&body_latency_put, "{\"distribution\":\"uniform\",\"min\":\"2s\",\"max\":\"1s\"}",
     ERROR_INVALID, "min"},
    {&body_latency_put, "{\"distribution\":\"fixed\",\"value\":\"soon\"}", ERROR_INVALID, "value"},
    {&body_clock_advance, "{}", ERROR_INVALID, "body"},
    {&body_clock_advance, "{\"by\":\"1s\",\"to\":\"2030-01-01T00:00:00Z\"}", ERROR_INVALID, "body"},
    {&body_clock_update, "{\"scale\":-1}", ERROR_INVALID, "scale"},
    {&body_clock_update, "{\"scale\":\"1\"}", ERROR_INVALID, "scale"},
    {&body_token_create, "{\"scope\":\"root\"}", ERROR_INVALID, "scope"},
    {&body_none, "{\"a\":1}", ERROR_UNKNOWN_FIELD, "a"},
};

static void a_bad_body_is_refused_by_code_and_field(void **state)
{
    size_t count = sizeof(refusals) / sizeof(refusals[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct error err = {0};
        if (parse(refusals[i].schema, refusals[i].text, &err) >= 0)
            fail_msg("%s was taken", refusals[i].text);
        if (err.code != refusals[i].code || strcmp(err.field, refusals[i].field) != 0)
            fail_msg("%s: %s, field '%s'", refusals[i].text, error_string(err.code), err.field);
    }
    printf("%zu bodies examined\n", count);
}

static void an_empty_instance_has_the_documented_defaults(void **state)
{
    const struct instance_spec *spec = &target.change.request.instance;

    (void)state;
    take(&body_instance_create, "{}");
    assert_null(spec->name);
    assert_null(spec->zone);
    assert_int_equal(spec->lifecycle, LIFECYCLE_ON_DEMAND);
    assert_int_equal(spec->backend, BACKEND_NONE);
    assert_false(spec->has_addresses);
    assert_int_equal(spec->family_count, 1);
    assert_int_equal(spec->families[0], IP_V4);
    assert_true(spec->external_ip);
    assert_int_equal(spec->count, 0);
}

static void addresses_are_canonical(void **state)
{
    const struct instance_spec *spec = &target.change.request.instance;

    (void)state;
    take(&body_instance_create,
         "{\"addresses\":[{\"type\":\"internal\",\"address\":\"FD00:0:0::0001\"},"
         "{\"type\":\"internal-dns\",\"address\":\"a.b\"}],\"external_ip\":false}");
    assert_true(spec->has_addresses);
    assert_int_equal(spec->address_count, 2);
    assert_string_equal(spec->addresses[0].text, "fd00::1");
    assert_int_equal(spec->addresses[0].ip.family, IP_V6);
    assert_int_equal(spec->addresses[1].ip.family, 0);
    assert_false(spec->external_ip);
}

static void a_listener_has_the_documented_defaults(void **state)
{
    const struct load_balancer_spec *spec = &target.change.request.load_balancer;

    (void)state;
    take(&body_listener_add, "{\"protocol\":\"UDP\",\"port\":53,\"target_pool_id\":\"tp-1\","
                             "\"target_port\":5353.0}");
    assert_int_equal(spec->listener_count, 1);
    assert_int_equal(spec->listeners[0].protocol, PROTOCOL_UDP);
    assert_int_equal(spec->listeners[0].target_port, 5353);
    assert_int_equal(spec->listeners[0].idle_timeout_s, 60);
    assert_int_equal(spec->listeners[0].session_affinity_timeout_s, 10800);
}

static void a_pool_without_a_health_check_gets_the_default_one(void **state)
{
    const struct target_pool_spec *spec = &target.change.request.target_pool;

    (void)state;
    take(&body_target_pool_create, "{\"targets\":[{\"address\":\"10.0.0.1\"}]}");
    assert_false(spec->has_health_check);
    assert_string_equal(spec->health_check.path, "/");
    assert_int_equal(spec->health_check.interval_s, 10);
    assert_int_equal(spec->health_check.unhealthy_threshold, 2);
    assert_string_equal(spec->targets[0].address, "10.0.0.1");
}

static void null_deletes_a_tag_in_a_patch(void **state)
{
    const struct tags_spec *tags = &target.change.request.instance.tags;

    (void)state;
    take(&body_instance_update, "{\"tags\":{\"a\":null,\"b\":\"\"}}");
    assert_int_equal(tags->count, 2);
    assert_null(tags->items[0].value);
    assert_string_equal(tags->items[1].value, "");
}

static void a_latency_becomes_a_distribution(void **state)
{
    const struct distribution *d = &target.change.request.latency;

    (void)state;
    take(&body_latency_put, "{\"distribution\":\"normal\",\"mean\":\"2s\",\"stddev\":\"500ms\"}");
    assert_int_equal(d->kind, DISTRIBUTION_NORMAL);
    assert_int_equal(d->a, 2000000000);
    assert_int_equal(d->b, 500000000);
}

static void nesting_is_limited(void **state)
{
    char text[2 * (JSON_DEPTH_MAX + 1) + 16] = "{\"tags\":";
    struct error err = {0};

    (void)state;
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        strcat(text, "[");
    assert_int_equal(parse(&body_instance_create, text, &err), -ERROR_MALFORMED);
    assert_non_null(strstr(err.message, "deep"));
    take(&body_instance_create, "{\"tags\":{\"k\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}}");
}

static void names_are_those_of_the_document(void **state)
{
    char longest[255];

    (void)state;
    memset(longest, 'a', sizeof(longest));
    assert_true(name_valid(longest, 253));
    assert_false(name_valid(longest, 254));
    assert_true(name_valid("a-b.c9", 6));
    assert_true(name_valid("0", 1));
    assert_false(name_valid("", 0));
    assert_false(name_valid("-a", 2));
    assert_false(name_valid("a.", 2));
    assert_false(name_valid("A", 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, clear)
    const struct CMUnitTest tests[] = {
        TEST(a_bad_body_is_refused_by_code_and_field),
        TEST(an_empty_instance_has_the_documented_defaults),
        TEST(addresses_are_canonical),
        TEST(a_listener_has_the_documented_defaults),
        TEST(a_pool_without_a_health_check_gets_the_default_one),
        TEST(null_deletes_a_tag_in_a_patch),
        TEST(a_latency_becomes_a_distribution),
        TEST(nesting_is_limited),
        TEST(names_are_those_of_the_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
