// Routes through the funnel: when they carry packets, and when they are black holes.
#include "tests/unit/sim_fixture.h"

#define A_WHILE (10 * NS_PER_S)

static struct change *creation(struct sim *s, const char *cidr, const char *instance)
{
    struct change *c = request(s, route_create, NULL);

    c->request.route.destination_cidr = cidr;
    c->request.route.next_hop_instance_id = instance;
    if (!instance)
        c->request.route.next_hop_address = "192.0.2.1";
    return c;
}

static char *create_route(struct sim *s, const char *cidr, const char *instance)
{
    return strdup(text(accepted(s, creation(s, cidr, instance)), "id"));
}

static void a_created_route_is_active_and_shows_its_next_hop(void **state)
{
    struct sim *s = *state;
    char *i = create_instance(s, NULL);
    char *route = create_route(s, "10.200.0.0/24", i);

    assert_string_equal(text(s->document, "state"), "active");
    assert_string_equal(text(s->document, "network"), "default");
    assert_string_equal(text(s->document, "destination_cidr"), "10.200.0.0/24");
    assert_string_equal(text(json_object_get(s->document, "next_hop"), "instance_id"), i);
    free(i);
    free(route);
}

static void a_route_is_a_black_hole_while_its_instance_does_not_run(void **state)
{
    struct sim *s = *state;
    char *i = create_instance(s, NULL);
    char *route = create_route(s, "10.200.0.0/24", i);

    act(s, instance_stop, i);
    assert_state(s, KIND_ROUTE, route, "blackhole");
    act(s, instance_start, i);
    assert_state(s, KIND_ROUTE, route, "active");
    act(s, instance_terminate, i);
    assert_state(s, KIND_ROUTE, route, "blackhole");
    advance(s, 61 * NS_PER_S);
    assert_null(look(s, KIND_INSTANCE, i));
    assert_state(s, KIND_ROUTE, route, "blackhole"); // it dangles, nothing cascades
    free(i);
    free(route);
}

static void a_timed_stop_and_start_are_followed_step_by_step(void **state)
{
    struct sim *s = *state;
    char *i = create_instance(s, NULL);
    char *route = create_route(s, "10.200.0.0/24", i);
    int64_t before;

    takes(s, "instance.stopping", A_WHILE);
    takes(s, "instance.pending", A_WHILE);
    before = cloud_revision(s->cloud);
    act(s, instance_stop, i);
    assert_state(s, KIND_ROUTE, route, "blackhole");
    advance(s, A_WHILE);
    act(s, instance_start, i);
    assert_state(s, KIND_ROUTE, route, "blackhole");
    advance(s, A_WHILE);
    assert_state(s, KIND_ROUTE, route, "active");
    assert_int_equal(count_events(s, before), 4 + 2 + 2); // instance, route, clock
    free(i);
    free(route);
}

static void a_route_by_address_is_always_active(void **state)
{
    struct sim *s = *state;
    char *route = create_route(s, "10.200.0.0/24", NULL);

    assert_string_equal(text(s->document, "state"), "active");
    assert_string_equal(text(json_object_get(s->document, "next_hop"), "address"), "192.0.2.1");
    free(route);
}

static void a_pending_route_becomes_what_its_instance_makes_of_it(void **state)
{
    struct sim *s = *state;
    char *i = create_instance(s, NULL), *route;

    takes(s, "route.pending", A_WHILE);
    route = create_route(s, "10.200.0.0/24", i);
    assert_string_equal(text(s->document, "state"), "pending");
    act(s, instance_stop, i);
    assert_state(s, KIND_ROUTE, route, "pending");
    advance(s, A_WHILE);
    assert_state(s, KIND_ROUTE, route, "blackhole");
    free(i);
    free(route);
}

static void a_pending_route_outlives_its_instance(void **state)
{
    struct sim *s = *state;
    char *i = create_instance(s, NULL), *route;

    takes(s, "route.pending", 120 * NS_PER_S);
    route = create_route(s, "10.200.0.0/24", i);
    act(s, instance_terminate, i);
    advance(s, 120 * NS_PER_S);
    assert_state(s, KIND_ROUTE, route, "blackhole");
    free(i);
    free(route);
}

static void a_destination_is_taken_once_in_its_network(void **state)
{
    struct sim *s = *state;
    char *route = create_route(s, "10.200.0.0/24", NULL);
    struct change *c = creation(s, "10.200.0.0/24", NULL);

    refused(s, creation(s, "10.200.0.0/24", NULL), ERROR_EXISTS, "destination_cidr", route);
    c->request.route.network = "other";
    accepted(s, c);
    free(route);
}

static void a_deleting_route_holds_neither_destination_nor_name(void **state)
{
    struct sim *s = *state;
    struct change *c = creation(s, "10.200.0.0/24", NULL);
    char *route;

    takes(s, "route.deleting", A_WHILE);
    c->request.route.name = "r";
    route = strdup(text(accepted(s, c), "id"));
    assert_string_equal(text(act(s, route_delete, route), "state"), "deleting");
    c = creation(s, "10.200.0.0/24", NULL);
    c->request.route.name = "r";
    accepted(s, c);
    refused(s, request(s, route_update, route), ERROR_STATE, "", "is deleting");
    assert_string_equal(text(act(s, route_delete, route), "state"), "deleting");
    advance(s, A_WHILE);
    assert_null(look(s, KIND_ROUTE, route));
    free(route);
}

static void the_next_hop_must_exist(void **state)
{
    struct sim *s = *state;
    struct change *c;
    char *route = create_route(s, "10.200.0.0/24", NULL);

    refused(s, creation(s, "10.200.1.0/24", "i-nope"), ERROR_INVALID, "next_hop.instance_id",
            "i-nope");
    c = request(s, route_update, route);
    c->request.route.next_hop_instance_id = "i-nope";
    refused(s, c, ERROR_INVALID, "next_hop.instance_id", "i-nope");
    free(route);
}

static void a_new_next_hop_decides_the_state_and_is_followed(void **state)
{
    struct sim *s = *state;
    char *running = create_instance(s, NULL), *stopped = create_instance(s, NULL);
    char *route = create_route(s, "10.200.0.0/24", running);
    int64_t before;

    act(s, instance_stop, stopped);
    for (int n = 0; n < 2; n++) {
        struct change *c = request(s, route_update, route);

        before = cloud_revision(s->cloud);
        c->request.route.next_hop_instance_id = stopped;
        assert_string_equal(text(accepted(s, c), "state"), "blackhole");
        assert_int_equal(cloud_revision(s->cloud), before + (n == 0)); // again: nothing
    }
    act(s, instance_terminate, running); // no hop of this route any more
    act(s, instance_start, stopped);
    assert_state(s, KIND_ROUTE, route, "active");
    free(running);
    free(stopped);
    free(route);
}

static void a_deletion_that_takes_no_time_is_one_event(void **state)
{
    struct sim *s = *state;
    char *route = create_route(s, "10.200.0.0/24", NULL), *log;
    int64_t before = cloud_revision(s->cloud);

    assert_string_equal(text(act(s, route_delete, route), "state"), "deleted");
    log = event_log(s, before);
    assert_int_equal(count_events(s, before), 1);
    assert_non_null(strstr(log, "\"type\":\"deleted\""));
    assert_non_null(strstr(log, "\"state\":\"deleted\""));
    refused(s, request(s, route_delete, route), ERROR_NOT_FOUND, "", route);
    free(log);
    free(route);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_created_route_is_active_and_shows_its_next_hop),
        TEST(a_route_is_a_black_hole_while_its_instance_does_not_run),
        TEST(a_timed_stop_and_start_are_followed_step_by_step),
        TEST(a_route_by_address_is_always_active),
        TEST(a_pending_route_becomes_what_its_instance_makes_of_it),
        TEST(a_pending_route_outlives_its_instance),
        TEST(a_destination_is_taken_once_in_its_network),
        TEST(a_deleting_route_holds_neither_destination_nor_name),
        TEST(the_next_hop_must_exist),
        TEST(a_new_next_hop_decides_the_state_and_is_followed),
        TEST(a_deletion_that_takes_no_time_is_one_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
