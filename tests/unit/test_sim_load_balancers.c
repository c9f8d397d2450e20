// Load balancers and reserved addresses through the funnel.
#include "tests/unit/sim_fixture.h"

#define A_WHILE (10 * NS_PER_S)

static char *create_pool(struct sim *s)
{
    return strdup(text(act(s, target_pool_create, NULL), "id"));
}

static char *create_address(struct sim *s, enum ip_family family, enum scheme scheme)
{
    struct change *c = request(s, address_create, NULL);

    c->request.address.family = family;
    c->request.address.scheme = scheme;
    return strdup(text(accepted(s, c), "id"));
}

static struct listener listener(int port, const char *pool)
{
    return (struct listener){.port = port,
                             .target_pool_id = pool,
                             .target_port = 30000,
                             .idle_timeout_s = 60,
                             .session_affinity_timeout_s = 10800};
}

static struct change *with_listeners(struct sim *s, change_apply *apply, const char *id,
                                     struct listener *list, size_t count)
{
    struct change *c = request(s, apply, id);

    c->request.load_balancer.has_listeners = true;
    c->request.load_balancer.listeners = list;
    c->request.load_balancer.listener_count = count;
    return c;
}

static char *create_lb(struct sim *s, struct listener *list, size_t count)
{
    return strdup(
        text(accepted(s, with_listeners(s, load_balancer_create, NULL, list, count)), "id"));
}

static struct change *with_addresses(struct sim *s, const char **ids, size_t count)
{
    struct change *c = request(s, load_balancer_create, NULL);

    c->request.load_balancer.address_ids = ids;
    c->request.load_balancer.address_id_count = count;
    return c;
}

// --- creating ---

static void a_created_load_balancer_is_active_with_address_and_listeners(void **state)
{
    struct sim *s = *state;
    char *pool = create_pool(s);
    struct listener list[] = {listener(80, pool), listener(443, pool)};
    json_t *lb, *first;

    free(create_lb(s, list, 2));
    lb = s->document;
    assert_string_equal(text(lb, "state"), "active");
    assert_string_equal(text(lb, "name"), text(lb, "id"));
    assert_string_equal(text(lb, "scheme"), "internet-facing");
    assert_null(json_object_get(lb, "hostname"));
    first = json_array_get(json_object_get(lb, "addresses"), 0);
    assert_string_equal(text(first, "family"), "ipv4");
    assert_memory_equal(text(first, "address"), "127.64.", 7);
    assert_null(json_object_get(first, "address_id"));
    assert_int_equal(json_array_size(json_object_get(lb, "listeners")), 2);
    first = json_array_get(json_object_get(lb, "listeners"), 0);
    assert_string_equal(text(first, "protocol"), "TCP");
    assert_int_equal(json_integer_value(json_object_get(first, "port")), 80);
    assert_string_equal(text(first, "proxy_protocol"), "none");
    assert_string_equal(text(first, "session_affinity"), "none");
    free(pool);
}

static void
a_new_load_balancer_provisions_for_its_latency_and_refuses_changes_meanwhile(void **state)
{
    struct sim *s = *state;
    struct change *c;
    char *id;

    takes(s, "load_balancer.provisioning", A_WHILE);
    id = create_lb(s, NULL, 0);
    assert_state(s, KIND_LOAD_BALANCER, id, "provisioning");
    refused(s, with_listeners(s, load_balancer_update, id, NULL, 0), ERROR_STATE, "",
            "is provisioning");
    c = request(s, load_balancer_remove_listener, id);
    c->request.listener.port = 80;
    refused(s, c, ERROR_STATE, "", "is provisioning");
    advance(s, A_WHILE);
    assert_state(s, KIND_LOAD_BALANCER, id, "active");
    free(id);
}

static void listeners_are_unique_by_protocol_and_port(void **state)
{
    struct sim *s = *state;
    char *pool = create_pool(s);
    struct listener list[] = {listener(53, pool), listener(53, pool)};

    refused(s, with_listeners(s, load_balancer_create, NULL, list, 2), ERROR_INVALID,
            "listeners[1].port", "TCP:53");
    list[1].protocol = PROTOCOL_UDP;
    free(create_lb(s, list, 2));
    free(pool);
}

static void a_listener_needs_a_pool_that_exists(void **state)
{
    struct sim *s = *state;
    char *pool = create_pool(s);
    struct listener list[] = {listener(80, pool), listener(81, "tp-nope")};

    refused(s, with_listeners(s, load_balancer_create, NULL, list, 2), ERROR_INVALID,
            "listeners[1].target_pool_id", "tp-nope");
    free(pool);
}

static void names_are_unique_among_load_balancers(void **state)
{
    struct sim *s = *state;
    struct change *c = request(s, load_balancer_create, NULL);

    c->request.load_balancer.name = "front";
    accepted(s, c);
    c = request(s, load_balancer_create, NULL);
    c->request.load_balancer.name = "front";
    refused(s, c, ERROR_EXISTS, "name", "front");
}

// --- reserved addresses ---

static void a_reserved_address_is_bound_and_comes_free_with_the_deletion(void **state)
{
    struct sim *s = *state;
    char *v4 = create_address(s, IP_V4, SCHEME_INTERNET_FACING);
    char *v6 = create_address(s, IP_V6, SCHEME_INTERNET_FACING);
    const char *ids[] = {v6, v4};
    char *id = strdup(text(accepted(s, with_addresses(s, ids, 2)), "id"));
    json_t *first = json_array_get(json_object_get(s->document, "addresses"), 0);
    int64_t before;

    assert_string_equal(text(first, "address_id"), v6);
    assert_string_equal(text(first, "family"), "ipv6");
    assert_string_equal(text(look(s, KIND_ADDRESS, v4), "load_balancer_id"), id);
    refused(s, request(s, address_delete, v4), ERROR_IN_USE, "", id);
    refused(s, with_addresses(s, ids, 1), ERROR_IN_USE, "address_ids[0]", id);
    before = cloud_revision(s->cloud);
    assert_string_equal(text(act(s, load_balancer_delete, id), "state"), "deleted");
    assert_int_equal(count_events(s, before), 3); // one for each record
    assert_null(json_object_get(look(s, KIND_ADDRESS, v4), "load_balancer_id"));
    assert_null(act(s, address_delete, v4));
    assert_null(look(s, KIND_ADDRESS, v4));
    free(v4);
    free(v6);
    free(id);
}

static void reserved_addresses_fit_the_scheme_and_come_one_of_a_family(void **state)
{
    struct sim *s = *state;
    char *inside = create_address(s, IP_V4, SCHEME_INTERNAL);
    char *one = create_address(s, IP_V4, SCHEME_INTERNET_FACING);
    char *two = create_address(s, IP_V4, SCHEME_INTERNET_FACING);
    const char *wrong[] = {inside}, *both[] = {one, two}, *absent[] = {one, "addr-nope"};

    refused(s, with_addresses(s, wrong, 1), ERROR_INVALID, "address_ids[0]", "internal");
    refused(s, with_addresses(s, both, 2), ERROR_INVALID, "address_ids[1]", "second");
    refused(s, with_addresses(s, absent, 2), ERROR_INVALID, "address_ids[1]", "addr-nope");
    assert_null(json_object_get(look(s, KIND_ADDRESS, one), "load_balancer_id"));
    free(inside);
    free(one);
    free(two);
}

static struct change *reserve(struct sim *s, const char *literal)
{
    struct change *c = request(s, address_create, NULL);

    c->request.address.has_ip = true;
    assert_int_equal(ip_parse(literal, &c->request.address.ip, NULL), 0);
    return c;
}

static void a_given_address_lies_in_the_pool_and_is_free(void **state)
{
    struct sim *s = *state;
    struct change *c;

    assert_string_equal(text(accepted(s, reserve(s, "127.64.9.9")), "address"), "127.64.9.9");
    refused(s, reserve(s, "127.64.9.9"), ERROR_IN_USE, "address", "127.64.9.9");
    refused(s, reserve(s, "192.0.2.1"), ERROR_INVALID, "address", "pool");
    c = reserve(s, "2001:db8:2::9");
    c->request.address.family = IP_V4;
    refused(s, c, ERROR_INVALID, "address", "ipv4");
    assert_string_equal(text(accepted(s, reserve(s, "2001:db8:2::9")), "family"), "ipv6");
}

static void a_released_address_can_be_reserved_again(void **state)
{
    struct sim *s = *state;
    char *id = strdup(text(accepted(s, reserve(s, "127.64.9.9")), "id"));

    act(s, address_delete, id);
    accepted(s, reserve(s, "127.64.9.9"));
    free(id);
}

static void the_address_of_a_deleted_load_balancer_is_free_again(void **state)
{
    struct sim *s = *state;
    char *id = create_lb(s, NULL, 0), *ip;

    ip = strdup(text(json_array_get(json_object_get(s->document, "addresses"), 0), "address"));
    refused(s, reserve(s, ip), ERROR_IN_USE, "address", ip);
    act(s, load_balancer_delete, id);
    accepted(s, reserve(s, ip));
    free(ip);
    free(id);
}

static void a_reserved_address_is_renamed_with_one_event_or_none(void **state)
{
    struct sim *s = *state;
    char *id = create_address(s, IP_V4, SCHEME_INTERNET_FACING);
    int64_t before = cloud_revision(s->cloud);

    for (int n = 0; n < 2; n++) {
        struct change *c = request(s, address_update, id);

        c->request.address.name = "front";
        assert_string_equal(text(accepted(s, c), "name"), "front");
    }
    assert_int_equal(cloud_revision(s->cloud), before + 1);
    free(id);
}

// --- updating ---

static void new_listeners_take_the_updating_latency_and_start_it_again(void **state)
{
    struct sim *s = *state;
    char *pool = create_pool(s), *id = create_lb(s, NULL, 0);
    struct listener list[] = {listener(80, pool), listener(81, pool)};

    takes(s, "load_balancer.updating", A_WHILE);
    accepted(s, with_listeners(s, load_balancer_update, id, list, 1));
    assert_state(s, KIND_LOAD_BALANCER, id, "updating");
    advance(s, A_WHILE - 1);
    accepted(s, with_listeners(s, load_balancer_update, id, list, 2));
    advance(s, A_WHILE - 1);
    assert_state(s, KIND_LOAD_BALANCER, id, "updating");
    advance(s, 1);
    assert_state(s, KIND_LOAD_BALANCER, id, "active");
    assert_int_equal(json_array_size(json_object_get(s->document, "listeners")), 2);
    free(pool);
    free(id);
}

static void name_and_tags_do_not_go_through_updating(void **state)
{
    struct tag_patch tags[] = {{"a", "1"}};
    struct sim *s = *state;
    char *id = create_lb(s, NULL, 0);
    struct change *c = request(s, load_balancer_update, id);

    takes(s, "load_balancer.updating", A_WHILE);
    c->request.load_balancer.name = "front";
    c->request.load_balancer.tags = (struct tags_spec){tags, 1};
    assert_string_equal(text(accepted(s, c), "state"), "active");
    free(id);
}

static void the_same_listeners_and_ranges_again_write_nothing(void **state)
{
    const char *ranges[] = {"10.0.0.0/8"};
    struct sim *s = *state;
    char *pool = create_pool(s), *id;
    struct listener list[] = {listener(80, pool)};
    struct change *c = with_listeners(s, load_balancer_create, NULL, list, 1);
    int64_t before;

    c->request.load_balancer.source_ranges = ranges;
    c->request.load_balancer.source_range_count = 1;
    id = strdup(text(accepted(s, c), "id"));
    before = cloud_revision(s->cloud);
    c = with_listeners(s, load_balancer_update, id, list, 1);
    c->request.load_balancer.has_source_ranges = true;
    c->request.load_balancer.source_ranges = ranges;
    c->request.load_balancer.source_range_count = 1;
    accepted(s, c);
    assert_int_equal(cloud_revision(s->cloud), before);
    c = request(s, load_balancer_update, id);
    c->request.load_balancer.has_source_ranges = true;
    assert_int_equal(json_array_size(json_object_get(accepted(s, c), "source_ranges")), 0);
    assert_int_equal(cloud_revision(s->cloud), before + 1);
    free(pool);
    free(id);
}

static void listeners_are_added_and_removed_one_by_one(void **state)
{
    struct sim *s = *state;
    char *pool = create_pool(s), *id = create_lb(s, NULL, 0);
    struct listener list[] = {listener(80, pool), listener(81, pool), listener(82, "tp-nope")};
    struct change *c;
    json_t *left;

    accepted(s, with_listeners(s, load_balancer_add_listener, id, &list[0], 1));
    accepted(s, with_listeners(s, load_balancer_add_listener, id, &list[1], 1));
    refused(s, with_listeners(s, load_balancer_add_listener, id, &list[1], 1), ERROR_EXISTS, "port",
            "TCP:81");
    refused(s, with_listeners(s, load_balancer_add_listener, id, &list[2], 1), ERROR_INVALID,
            "target_pool_id", "tp-nope");
    c = request(s, load_balancer_remove_listener, id);
    c->request.listener.port = 80;
    left = json_object_get(accepted(s, c), "listeners");
    assert_int_equal(json_array_size(left), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(left, 0), "port")), 81);
    c = request(s, load_balancer_remove_listener, id);
    c->request.listener.port = 80;
    refused(s, c, ERROR_NOT_FOUND, "", "TCP:80");
    free(pool);
    free(id);
}

// --- deleting ---

static void a_pool_in_use_is_not_deleted_until_its_load_balancer_is_gone(void **state)
{
    struct sim *s = *state;
    char *pool = create_pool(s);
    struct listener list[] = {listener(80, pool)};
    char *id = create_lb(s, list, 1);

    takes(s, "load_balancer.deleting", A_WHILE);
    refused(s, request(s, target_pool_delete, pool), ERROR_IN_USE, "", id);
    assert_string_equal(text(act(s, load_balancer_delete, id), "state"), "deleting");
    refused(s, request(s, target_pool_delete, pool), ERROR_IN_USE, "", id);
    refused(s, with_listeners(s, load_balancer_update, id, NULL, 0), ERROR_STATE, "",
            "is deleting");
    advance(s, A_WHILE);
    assert_null(look(s, KIND_LOAD_BALANCER, id));
    assert_null(act(s, target_pool_delete, pool));
    free(pool);
    free(id);
}

static void deleting_twice_is_harmless_while_it_is_there(void **state)
{
    struct sim *s = *state;
    char *id = create_lb(s, NULL, 0), *log;
    int64_t before;

    takes(s, "load_balancer.deleting", A_WHILE);
    act(s, load_balancer_delete, id);
    before = cloud_revision(s->cloud);
    assert_string_equal(text(act(s, load_balancer_delete, id), "state"), "deleting");
    assert_int_equal(cloud_revision(s->cloud), before);
    advance(s, A_WHILE);
    log = event_log(s, before);
    assert_non_null(strstr(log, "\"state\":\"deleted\""));
    assert_non_null(strstr(log, "\"operation\":\"load_balancer.deleting\""));
    refused(s, request(s, load_balancer_delete, id), ERROR_NOT_FOUND, "", id);
    free(log);
    free(id);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_created_load_balancer_is_active_with_address_and_listeners),
        TEST(a_new_load_balancer_provisions_for_its_latency_and_refuses_changes_meanwhile),
        TEST(listeners_are_unique_by_protocol_and_port),
        TEST(a_listener_needs_a_pool_that_exists),
        TEST(names_are_unique_among_load_balancers),
        TEST(a_reserved_address_is_bound_and_comes_free_with_the_deletion),
        TEST(reserved_addresses_fit_the_scheme_and_come_one_of_a_family),
        TEST(a_given_address_lies_in_the_pool_and_is_free),
        TEST(a_released_address_can_be_reserved_again),
        TEST(the_address_of_a_deleted_load_balancer_is_free_again),
        TEST(a_reserved_address_is_renamed_with_one_event_or_none),
        TEST(new_listeners_take_the_updating_latency_and_start_it_again),
        TEST(name_and_tags_do_not_go_through_updating),
        TEST(the_same_listeners_and_ranges_again_write_nothing),
        TEST(listeners_are_added_and_removed_one_by_one),
        TEST(a_pool_in_use_is_not_deleted_until_its_load_balancer_is_gone),
        TEST(deleting_twice_is_harmless_while_it_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
