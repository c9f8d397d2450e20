// Instances through the funnel.
#include "tests/unit/sim_fixture.h"

#define A_WHILE (10 * NS_PER_S)

// --- creating ---

static void a_created_instance_has_name_place_and_addresses(void **state)
{
    struct sim *s = *state;
    struct change *c = request(s, instance_create, NULL);
    json_t *i, *addresses;

    c->request.instance.name = "web";
    c->request.instance.external_ip = true;
    i = accepted(s, c);
    assert_string_equal(text(i, "name"), "web");
    assert_string_equal(text(i, "state"), "running");
    assert_string_equal(text(i, "zone"), "mock-1a");
    assert_string_equal(text(i, "region"), "mock-1");
    assert_string_equal(text(i, "type"), "small");
    assert_string_equal(text(i, "lifecycle"), "on-demand");
    assert_string_equal(text(i, "backend"), "none");
    assert_null(json_object_get(i, "transition_at"));
    addresses = json_object_get(i, "addresses");
    assert_int_equal(json_array_size(addresses), 3);
    assert_string_equal(text(json_array_get(addresses, 0), "type"), "internal");
    assert_string_equal(text(json_array_get(addresses, 0), "address"), "10.0.0.1");
    assert_string_equal(text(json_array_get(addresses, 1), "type"), "external");
    assert_string_equal(text(json_array_get(addresses, 1), "family"), "ipv4");
    assert_string_equal(text(json_array_get(addresses, 2), "type"), "internal-dns");
    assert_string_equal(text(json_array_get(addresses, 2), "address"), "web.mock-1a.internal");
    assert_null(json_object_get(json_array_get(addresses, 2), "family"));
}

static void both_families_come_internal_first_then_external_then_dns(void **state)
{
    static const char *const expected[] = {"internal ipv4", "internal ipv6", "external ipv4",
                                           "external ipv6", "internal-dns -"};
    struct sim *s = *state;
    struct change *c = request(s, instance_create, NULL);
    json_t *addresses;

    c->request.instance.external_ip = true;
    c->request.instance.families[0] = IP_V4;
    c->request.instance.families[1] = IP_V6;
    c->request.instance.family_count = 2;
    addresses = json_object_get(accepted(s, c), "addresses");
    assert_int_equal(json_array_size(addresses), 5);
    for (size_t n = 0; n < 5; n++) {
        json_t *a = json_array_get(addresses, n);
        json_t *family = json_object_get(a, "family");
        char found[64];

        snprintf(found, sizeof(found), "%s %s", text(a, "type"),
                 family ? json_string_value(family) : "-");
        assert_string_equal(found, expected[n]);
    }
}

static void without_a_name_an_instance_is_called_by_its_id(void **state)
{
    json_t *i = act(*state, instance_create, NULL);

    assert_string_equal(text(i, "name"), text(i, "id"));
    assert_memory_equal(text(i, "id"), "i-", 2);
}

static void a_creation_writes_one_event(void **state)
{
    struct sim *s = *state;
    int64_t before = cloud_revision(s->cloud);
    char *log;

    act(s, instance_create, NULL);
    assert_int_equal(cloud_revision(s->cloud), before + 1);
    log = event_log(s, before);
    assert_non_null(strstr(log, "\"type\":\"created\""));
    assert_non_null(strstr(log, "\"state\":\"running\""));
    free(log);
}

static void count_numbers_the_names(void **state)
{
    struct sim *s = *state;
    struct change *c = request(s, instance_create, NULL);
    json_t *list;

    c->request.instance.name = "n";
    c->request.instance.count = 300;
    list = accepted(s, c);
    assert_int_equal(json_array_size(list), 300);
    assert_string_equal(text(json_array_get(list, 0), "name"), "n-1");
    assert_string_equal(text(json_array_get(list, 299), "name"), "n-300");
}

static void a_count_that_fails_half_way_creates_nothing(void **state)
{
    struct sim *s = *state;
    struct change *c = request(s, instance_create, NULL);

    free(create_instance(s, "n-7"));
    c->request.instance.name = "n";
    c->request.instance.count = 10;
    refused(s, c, ERROR_EXISTS, "name", "n-7");
}

static void a_name_is_taken_once(void **state)
{
    struct sim *s = *state;
    struct change *c = request(s, instance_create, NULL);

    free(create_instance(s, "web"));
    c->request.instance.name = "web";
    refused(s, c, ERROR_EXISTS, "name", "web");
}

static void an_unknown_zone_or_type_is_named(void **state)
{
    struct sim *s = *state;
    struct change *c = request(s, instance_create, NULL);

    c->request.instance.zone = "mars";
    refused(s, c, ERROR_INVALID, "zone", "zone mars does not exist");
    c = request(s, instance_create, NULL);
    c->request.instance.type = "giant";
    refused(s, c, ERROR_INVALID, "type", "type giant does not exist");
}

static void an_unavailable_zone_takes_neither_new_nor_started_instances(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, NULL);
    struct change *c = request(s, zone_put, "mock-1a");

    act(s, instance_stop, id);
    c->request.zone.region = "mock-1";
    c->request.zone.state = ZONE_UNAVAILABLE;
    accepted(s, c);
    c = request(s, instance_create, NULL);
    c->request.instance.zone = "mock-1a";
    refused(s, c, ERROR_ZONE_UNAVAILABLE, "zone", "mock-1a is unavailable");
    refused(s, request(s, instance_start, id), ERROR_ZONE_UNAVAILABLE, "zone",
            "mock-1a is unavailable");
    c = request(s, instance_create, NULL);
    c->request.instance.zone = "mock-1b";
    assert_string_equal(text(accepted(s, c), "zone"), "mock-1b");
    free(id);
}

static void close_zone(struct sim *s, const char *name)
{
    struct change *c = request(s, zone_put, name);

    c->request.zone.region = "mock-1";
    c->request.zone.state = ZONE_UNAVAILABLE;
    accepted(s, c);
}

static void without_a_zone_it_is_the_first_that_is_available(void **state)
{
    struct sim *s = *state;
    struct change *c = request(s, instance_create, NULL);

    assert_string_equal(text(accepted(s, c), "zone"), "mock-1a");
    close_zone(s, "mock-1a");
    assert_string_equal(text(accepted(s, request(s, instance_create, NULL)), "zone"), "mock-1b");
    close_zone(s, "mock-1b");
    c = request(s, instance_create, NULL);
    c->request.instance.count = 2;
    assert_string_equal(text(json_array_get(accepted(s, c), 0), "zone"), "mock-1c");
    close_zone(s, "mock-1c");
    refused(s, request(s, instance_create, NULL), ERROR_ZONE_UNAVAILABLE, "zone", "is unavailable");
}

// --- addresses ---

static struct address_spec address(const char *literal, enum address_type type)
{
    struct address_spec a = {.type = type, .text = literal};

    if (type == ADDRESS_INTERNAL || type == ADDRESS_EXTERNAL)
        assert_int_equal(ip_parse(literal, &a.ip, NULL), 0);
    return a;
}

static struct change *with_addresses(struct sim *s, change_apply *apply, const char *id,
                                     struct address_spec *list, size_t count)
{
    struct change *c = request(s, apply, id);

    c->request.instance.has_addresses = true;
    c->request.instance.addresses = list;
    c->request.instance.address_count = count;
    return c;
}

static void given_addresses_are_taken_as_they_are(void **state)
{
    struct address_spec list[] = {address("192.0.2.1", ADDRESS_INTERNAL),
                                  address("host.example", ADDRESS_HOSTNAME)};
    struct sim *s = *state;
    json_t *addresses = json_object_get(
        accepted(s, with_addresses(s, instance_create, NULL, list, 2)), "addresses");

    assert_int_equal(json_array_size(addresses), 2);
    assert_string_equal(text(json_array_get(addresses, 1), "address"), "host.example");
}

static void an_address_belongs_to_one_instance(void **state)
{
    struct address_spec list[] = {address("192.0.2.1", ADDRESS_INTERNAL),
                                  address("192.0.2.2", ADDRESS_EXTERNAL)};
    struct sim *s = *state;

    accepted(s, with_addresses(s, instance_create, NULL, &list[1], 1));
    refused(s, with_addresses(s, instance_create, NULL, list, 2), ERROR_IN_USE,
            "addresses[1].address", "192.0.2.2");
}

static void an_address_listed_twice_is_refused_but_not_under_two_types(void **state)
{
    struct address_spec twice[] = {address("192.0.2.1", ADDRESS_INTERNAL),
                                   address("192.0.2.1", ADDRESS_INTERNAL)};
    struct address_spec types[] = {address("192.0.2.1", ADDRESS_INTERNAL),
                                   address("192.0.2.1", ADDRESS_EXTERNAL)};
    struct sim *s = *state;
    char *id;

    refused(s, with_addresses(s, instance_create, NULL, twice, 2), ERROR_INVALID,
            "addresses[1].address", "twice");
    id = strdup(text(accepted(s, with_addresses(s, instance_create, NULL, types, 2)), "id"));
    act(s, instance_terminate, id);
    accepted(s, with_addresses(s, instance_create, NULL, types, 2));
    free(id);
}

static void replacing_addresses_keeps_releases_and_claims(void **state)
{
    struct address_spec first[] = {address("192.0.2.1", ADDRESS_INTERNAL),
                                   address("192.0.2.2", ADDRESS_INTERNAL)};
    struct address_spec second[] = {address("192.0.2.2", ADDRESS_INTERNAL),
                                    address("192.0.2.3", ADDRESS_INTERNAL)};
    struct sim *s = *state;
    char *id = strdup(text(accepted(s, with_addresses(s, instance_create, NULL, first, 2)), "id"));

    accepted(s, with_addresses(s, instance_update, id, second, 2));
    accepted(s, with_addresses(s, instance_create, NULL, &first[0], 1)); // .1 is free again
    refused(s, with_addresses(s, instance_create, NULL, &second[0], 1), ERROR_IN_USE,
            "addresses[0].address", "192.0.2.2");
    refused(s, with_addresses(s, instance_create, NULL, &second[1], 1), ERROR_IN_USE,
            "addresses[0].address", "192.0.2.3");
    free(id);
}

static void a_terminated_instance_shows_its_addresses_but_has_given_them_up(void **state)
{
    struct address_spec list[] = {address("192.0.2.1", ADDRESS_INTERNAL)};
    struct sim *s = *state;
    char *id = strdup(text(accepted(s, with_addresses(s, instance_create, NULL, list, 1)), "id"));

    act(s, instance_terminate, id);
    assert_int_equal(json_array_size(json_object_get(look(s, KIND_INSTANCE, id), "addresses")), 1);
    accepted(s, with_addresses(s, instance_create, NULL, list, 1));
    advance(s, 61 * NS_PER_S); // its removal does not take the address from its new holder
    assert_null(look(s, KIND_INSTANCE, id));
    refused(s, with_addresses(s, instance_create, NULL, list, 1), ERROR_IN_USE,
            "addresses[0].address", "192.0.2.1");
    free(id);
}

// --- living ---

static void states_that_take_no_time_are_passed_through_with_one_event(void **state)
{
    static change_apply *const actions[] = {instance_stop, instance_start, instance_reboot,
                                            instance_terminate};
    static const char *const ends[] = {"stopped", "running", "running", "terminated"};
    struct sim *s = *state;
    char *id = create_instance(s, NULL);

    for (size_t n = 0; n < 4; n++) {
        int64_t before = cloud_revision(s->cloud);

        assert_string_equal(text(act(s, actions[n], id), "state"), ends[n]);
        assert_int_equal(count_events(s, before), 1);
    }
    free(id);
}

static void states_that_take_time_end_on_their_deadline(void **state)
{
    static const struct {
        const char *timer;
        change_apply *action;
        const char *meanwhile, *after;
    } steps[] = {
        {"instance.stopping", instance_stop, "stopping", "stopped"},
        {"instance.pending", instance_start, "pending", "running"},
        {"instance.rebooting", instance_reboot, "rebooting", "running"},
        {"instance.terminating", instance_terminate, "terminating", "terminated"},
    };
    struct sim *s = *state;
    char *id = create_instance(s, NULL);

    for (size_t n = 0; n < 4; n++) {
        takes(s, steps[n].timer, A_WHILE);
        assert_string_equal(text(act(s, steps[n].action, id), "state"), steps[n].meanwhile);
        advance(s, A_WHILE - 1);
        assert_state(s, KIND_INSTANCE, id, steps[n].meanwhile);
        assert_non_null(json_object_get(s->document, "transition_at"));
        advance(s, 1);
        assert_state(s, KIND_INSTANCE, id, steps[n].after);
    }
    free(id);
}

static void a_new_instance_is_pending_for_its_latency(void **state)
{
    struct sim *s = *state;
    char *id, *log;
    int64_t before;

    takes(s, "instance.pending", A_WHILE);
    before = cloud_revision(s->cloud);
    id = create_instance(s, NULL);
    assert_state(s, KIND_INSTANCE, id, "pending");
    advance(s, A_WHILE);
    assert_state(s, KIND_INSTANCE, id, "running");
    assert_null(json_object_get(s->document, "transition_at"));
    log = event_log(s, before);
    assert_non_null(strstr(log, "{\"type\":\"timer\",\"operation\":\"instance.pending\"}"));
    free(log);
    free(id);
}

static void what_the_state_does_not_allow_is_refused_and_said(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, NULL);
    char text[64];

    refused(s, request(s, instance_start, id), ERROR_STATE, "", "is running");
    act(s, instance_stop, id);
    snprintf(text, sizeof(text), "instance %s is stopped", id);
    refused(s, request(s, instance_stop, id), ERROR_STATE, "", text);
    refused(s, request(s, instance_reboot, id), ERROR_STATE, "", text);
    takes(s, "instance.pending", A_WHILE);
    act(s, instance_start, id);
    refused(s, request(s, instance_stop, id), ERROR_STATE, "", "is pending");
    act(s, instance_terminate, id);
    refused(s, request(s, instance_start, id), ERROR_STATE, "", "is terminated");
    refused(s, request(s, instance_update, id), ERROR_STATE, "", "is terminated");
    refused(s, request(s, instance_stop, "i-nope"), ERROR_NOT_FOUND, "", "i-nope");
    free(id);
}

static void terminating_again_succeeds_and_changes_nothing(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, NULL);
    int64_t before;

    takes(s, "instance.terminating", A_WHILE);
    act(s, instance_terminate, id);
    before = cloud_revision(s->cloud);
    assert_string_equal(text(act(s, instance_terminate, id), "state"), "terminating");
    assert_int_equal(cloud_revision(s->cloud), before);
    advance(s, A_WHILE);
    before = cloud_revision(s->cloud);
    assert_string_equal(text(act(s, instance_terminate, id), "state"), "terminated");
    assert_int_equal(cloud_revision(s->cloud), before);
    free(id);
}

static void a_terminated_instance_is_seen_for_its_retention_and_then_gone(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, NULL);

    act(s, instance_terminate, id);
    advance(s, 60 * NS_PER_S - 1);
    assert_state(s, KIND_INSTANCE, id, "terminated");
    advance(s, 1);
    assert_null(look(s, KIND_INSTANCE, id));
    free(id);
}

static void without_retention_the_last_event_shows_it_terminated(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, NULL), *log;
    int64_t before;

    takes(s, "instance.terminated", 0);
    before = cloud_revision(s->cloud);
    assert_string_equal(text(act(s, instance_terminate, id), "state"), "terminated");
    assert_null(look(s, KIND_INSTANCE, id));
    log = event_log(s, before);
    assert_int_equal(count_events(s, before), 1);
    assert_non_null(strstr(log, "\"type\":\"deleted\""));
    assert_non_null(strstr(log, "\"state\":\"terminated\""));
    free(log);
    free(id);
}

static void a_name_is_free_once_its_instance_is_terminated(void **state)
{
    struct sim *s = *state;
    struct change *c = request(s, instance_create, NULL);
    char *id = create_instance(s, "web");

    takes(s, "instance.terminating", A_WHILE);
    act(s, instance_terminate, id);
    c->request.instance.name = "web";
    refused(s, c, ERROR_EXISTS, "name", "web");
    advance(s, A_WHILE);
    assert_state(s, KIND_INSTANCE, id, "terminated");
    free(create_instance(s, "web"));
    free(id);
}

static void terminating_overtakes_what_was_under_way(void **state)
{
    struct sim *s = *state;
    char *id;

    takes(s, "instance.pending", A_WHILE);
    id = create_instance(s, NULL);
    act(s, instance_terminate, id);
    assert_state(s, KIND_INSTANCE, id, "terminated");
    advance(s, A_WHILE);
    assert_state(s, KIND_INSTANCE, id, "terminated");
    free(id);
}

static void the_reason_says_who_stopped_it_until_it_starts_again(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, NULL);

    assert_null(json_object_get(look(s, KIND_INSTANCE, id), "state_reason"));
    act(s, instance_stop, id);
    assert_string_equal(text(json_object_get(s->document, "state_reason"), "code"), "user-request");
    act(s, instance_start, id);
    assert_null(json_object_get(s->document, "state_reason"));
    free(id);
}

// --- changing ---

static void the_type_can_be_changed_only_while_stopped(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, NULL);
    struct change *c = request(s, instance_update, id);

    c->request.instance.type = "large";
    refused(s, c, ERROR_STATE, "type", "is running");
    act(s, instance_stop, id);
    c = request(s, instance_update, id);
    c->request.instance.type = "giant";
    refused(s, c, ERROR_INVALID, "type", "giant");
    c = request(s, instance_update, id);
    c->request.instance.type = "large";
    assert_string_equal(text(accepted(s, c), "type"), "large");
    free(id);
}

static void tags_are_merged(void **state)
{
    struct tag_patch set[] = {{"b", "2"}, {"a", "1"}}, patch[] = {{"a", NULL}, {"c", "3"}};
    struct sim *s = *state;
    char *id = create_instance(s, NULL), *tags;
    struct change *c = request(s, instance_update, id);

    c->request.instance.tags = (struct tags_spec){set, 2};
    accepted(s, c);
    c = request(s, instance_update, id);
    c->request.instance.tags = (struct tags_spec){patch, 2};
    tags = json_dumps(json_object_get(accepted(s, c), "tags"), JSON_COMPACT);
    assert_string_equal(tags, "{\"b\":\"2\",\"c\":\"3\"}");
    free(tags);
    free(id);
}

static void an_update_that_changes_nothing_writes_nothing(void **state)
{
    struct tag_patch patch[] = {{"absent", NULL}};
    struct sim *s = *state;
    char *id = create_instance(s, "web");
    struct change *c = request(s, instance_update, id);
    int64_t before = cloud_revision(s->cloud);

    c->request.instance.name = "web";
    c->request.instance.type = "small";
    c->request.instance.tags = (struct tags_spec){patch, 1};
    assert_string_equal(text(accepted(s, c), "id"), id);
    assert_int_equal(cloud_revision(s->cloud), before);
    free(id);
}

static void a_rename_needs_a_free_name(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a"), *other = create_instance(s, "b");
    struct change *c = request(s, instance_update, id);

    c->request.instance.name = "b";
    refused(s, c, ERROR_EXISTS, "name", other);
    c = request(s, instance_update, id);
    c->request.instance.name = "c";
    assert_string_equal(text(accepted(s, c), "name"), "c");
    free(create_instance(s, "a"));
    free(id);
    free(other);
}

static void a_change_of_another_revision_is_refused(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, NULL);
    struct change *c = request(s, instance_terminate, id);

    c->if_match = 1;
    refused(s, c, ERROR_PRECONDITION, "If-Match", id);
    c = request(s, instance_terminate, id);
    c->if_match = cloud_revision(s->cloud);
    accepted(s, c);
    free(id);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_created_instance_has_name_place_and_addresses),
        TEST(both_families_come_internal_first_then_external_then_dns),
        TEST(without_a_name_an_instance_is_called_by_its_id),
        TEST(a_creation_writes_one_event),
        TEST(count_numbers_the_names),
        TEST(a_count_that_fails_half_way_creates_nothing),
        TEST(a_name_is_taken_once),
        TEST(an_unknown_zone_or_type_is_named),
        TEST(an_unavailable_zone_takes_neither_new_nor_started_instances),
        TEST(without_a_zone_it_is_the_first_that_is_available),
        TEST(given_addresses_are_taken_as_they_are),
        TEST(an_address_belongs_to_one_instance),
        TEST(an_address_listed_twice_is_refused_but_not_under_two_types),
        TEST(replacing_addresses_keeps_releases_and_claims),
        TEST(a_terminated_instance_shows_its_addresses_but_has_given_them_up),
        TEST(states_that_take_no_time_are_passed_through_with_one_event),
        TEST(states_that_take_time_end_on_their_deadline),
        TEST(a_new_instance_is_pending_for_its_latency),
        TEST(what_the_state_does_not_allow_is_refused_and_said),
        TEST(terminating_again_succeeds_and_changes_nothing),
        TEST(a_terminated_instance_is_seen_for_its_retention_and_then_gone),
        TEST(without_retention_the_last_event_shows_it_terminated),
        TEST(a_name_is_free_once_its_instance_is_terminated),
        TEST(terminating_overtakes_what_was_under_way),
        TEST(the_reason_says_who_stopped_it_until_it_starts_again),
        TEST(the_type_can_be_changed_only_while_stopped),
        TEST(tags_are_merged),
        TEST(an_update_that_changes_nothing_writes_nothing),
        TEST(a_rename_needs_a_free_name),
        TEST(a_change_of_another_revision_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
