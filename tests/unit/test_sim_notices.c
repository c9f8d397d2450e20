// Notices of instances: told, then acted upon at their deadline, whatever happens in between.
#include "sim/names.h"
#include "sim/notice.h"
#include "sim_fixture.h"

#include <stdio.h>

static struct change *notice(struct sim *s, const char *id, enum notice_kind kind)
{
    struct change *c = request(s, instance_interrupt, id);

    c->request.notice.kind = kind;
    return c;
}

static struct change *notice_with(struct sim *s, const char *id, enum notice_kind kind,
                                  enum notice_action action, int64_t ns)
{
    struct change *c = notice(s, id, kind);

    c->request.notice.has_action = c->request.notice.has_notice = true;
    c->request.notice.action = action;
    c->request.notice.notice_ns = ns;
    return c;
}

static const char *notice_text(struct sim *s, const char *id, size_t n, const char *key)
{
    json_t *notices = json_object_get(look(s, KIND_INSTANCE, id), "notices");

    return text(json_array_get(notices, n), key);
}

static const char *reason(struct sim *s, const char *id)
{
    return text(json_object_get(look(s, KIND_INSTANCE, id), "state_reason"), "code");
}

// --- pure ---

static void each_kind_takes_its_default_and_refuses_what_no_cloud_does(void **unused)
{
    int allowed = 0, pairs = 0;

    (void)unused;
    for (int kind = 0; kind < NOTICE_KINDS; kind++) {
        assert_true(
            notice_allows((enum notice_kind)kind, notice_default_action((enum notice_kind)kind)));
        for (int action = 0; action < NOTICE_ACTIONS; action++, pairs++)
            allowed += notice_allows((enum notice_kind)kind, (enum notice_action)action);
    }
    printf("%d of %d pairs of kind and action are allowed\n", allowed, pairs);
    assert_int_equal(allowed, 9);
    assert_false(notice_allows(NOTICE_SPOT, NOTICE_REBOOT));
    assert_false(notice_allows(NOTICE_PREEMPT, NOTICE_NONE));
    assert_false(notice_allows(NOTICE_REBALANCE, NOTICE_TERMINATE));
}

static void of_two_notices_the_first_by_deadline_is_found_and_none_comes_last(void **unused)
{
    struct notice list[] = {{.kind = NOTICE_REBALANCE},
                            {.kind = NOTICE_MAINTENANCE, .deadline_ns = 9},
                            {.kind = NOTICE_SPOT, .deadline_ns = 5},
                            {.kind = NOTICE_PREEMPT, .deadline_ns = 1, .state = NOTICE_CANCELED}};
    struct instance i = {.r.state = INSTANCE_RUNNING, .notices = list, .notice_count = 4};

    (void)unused;
    assert_ptr_equal(notice_find(&i, ~0U), &list[2]);
    assert_ptr_equal(notice_find(&i, 1U << NOTICE_REBALANCE), &list[0]);
    assert_null(notice_find(&i, 1U << NOTICE_PREEMPT));
    notices_reschedule(&i);
    assert_int_equal(i.r.transition_ns, 5);
    i.due_ns = 3;
    notices_reschedule(&i);
    assert_int_equal(i.r.transition_ns, 3);
    assert_null(notice_due(&i, 4));
    assert_ptr_equal(notice_due(&i, 9), &list[2]);
}

static void a_notice_that_the_state_does_not_allow_yet_waits_for_the_state(void **unused)
{
    struct notice stop = {.kind = NOTICE_SPOT, .action = NOTICE_STOP, .deadline_ns = 5};
    struct instance i = {
        .r.state = INSTANCE_PENDING, .due_ns = 60, .notices = &stop, .notice_count = 1};

    (void)unused;
    notices_reschedule(&i);
    assert_int_equal(i.r.transition_ns, 60);
    i.r.state = INSTANCE_RUNNING;
    i.due_ns = 0;
    notices_reschedule(&i);
    assert_int_equal(i.r.transition_ns, 5);
}

// --- through the funnel ---

static void a_spot_notice_terminates_at_its_deadline_and_says_why(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a");

    accepted(s, notice(s, id, NOTICE_SPOT));
    assert_string_equal(notice_text(s, id, 0, "state"), "scheduled");
    assert_string_equal(notice_text(s, id, 0, "deadline"), "2026-01-01T00:02:00.000Z");
    advance(s, 120 * NS_PER_S - 1);
    assert_state(s, KIND_INSTANCE, id, "running");
    advance(s, 1);
    assert_state(s, KIND_INSTANCE, id, "terminated");
    assert_string_equal(notice_text(s, id, 0, "state"), "completed");
    assert_string_equal(reason(s, id), "spot-interruption");
    free(id);
}

static void an_action_that_takes_time_is_started_and_then_completed(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a");

    takes(s, "instance.stopping", 10 * NS_PER_S);
    accepted(s, notice(s, id, NOTICE_PREEMPT));
    advance(s, 30 * NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "stopping");
    assert_string_equal(notice_text(s, id, 0, "state"), "started");
    advance(s, 10 * NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "stopped");
    assert_string_equal(notice_text(s, id, 0, "state"), "completed");
    assert_string_equal(reason(s, id), "preemption");
    free(id);
}

static void maintenance_reboots_and_other_notices_outlive_the_reboot(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a");

    accepted(s, notice(s, id, NOTICE_REBALANCE));
    accepted(s, notice_with(s, id, NOTICE_MAINTENANCE, NOTICE_REBOOT, NS_PER_S));
    advance(s, NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "running");
    assert_string_equal(notice_text(s, id, 0, "state"), "scheduled");
    assert_string_equal(notice_text(s, id, 1, "state"), "completed");
    assert_string_equal(reason(s, id), "maintenance");
    free(id);
}

static void a_notice_without_an_action_only_comes_to_its_end(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a");

    accepted(s, notice_with(s, id, NOTICE_MAINTENANCE, NOTICE_NONE, NS_PER_S));
    advance(s, NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "running");
    assert_string_equal(notice_text(s, id, 0, "state"), "completed");
    assert_null(json_object_get(look(s, KIND_INSTANCE, id), "transition_at"));
    free(id);
}

static void an_instance_that_stops_otherwise_takes_its_notices_along(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a");

    accepted(s, notice(s, id, NOTICE_SPOT));
    act(s, instance_stop, id);
    assert_string_equal(notice_text(s, id, 0, "state"), "canceled");
    act(s, instance_start, id);
    advance(s, 3600 * NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "running");
    free(id);
}

static void a_notice_whose_deadline_falls_into_a_reboot_is_carried_out_after_it(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a");

    takes(s, "instance.rebooting", 60 * NS_PER_S);
    accepted(s, notice(s, id, NOTICE_PREEMPT)); // to be stopped in 30 s
    act(s, instance_reboot, id);
    advance(s, 59 * NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "rebooting");
    advance(s, NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "stopped");
    assert_string_equal(notice_text(s, id, 0, "state"), "completed");
    free(id);
}

static void what_cannot_be_is_refused_by_field(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a");

    refused(s, notice_with(s, id, NOTICE_SPOT, NOTICE_REBOOT, 0), ERROR_INVALID, "action",
            "does not reboot");
    refused(s, notice(s, "i-none", NOTICE_SPOT), ERROR_NOT_FOUND, "", "does not exist");
    accepted(s, notice(s, id, NOTICE_SPOT));
    refused(s, notice(s, id, NOTICE_SPOT), ERROR_EXISTS, "kind", "already");
    act(s, instance_stop, id);
    refused(s, notice(s, id, NOTICE_SPOT), ERROR_STATE, "", "is stopped");
    free(id);
}

static void a_canceled_notice_never_fires_and_canceling_none_writes_nothing(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a");
    int64_t revision;

    accepted(s, notice(s, id, NOTICE_SPOT));
    act(s, instance_cancel_notices, id);
    assert_string_equal(notice_text(s, id, 0, "state"), "canceled");
    revision = cloud_revision(s->cloud);
    act(s, instance_cancel_notices, id);
    assert_int_equal(cloud_revision(s->cloud), revision);
    advance(s, 3600 * NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "running");
    free(id);
}

static void acknowledging_brings_the_deadline_forward_to_now(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a");
    struct change *c = request(s, instance_acknowledge, id);

    c->request.acknowledge.notice_id = "nt-none";
    refused(s, c, ERROR_NOT_FOUND, "EventId", "nt-none");
    accepted(s, notice(s, id, NOTICE_SPOT));
    c = request(s, instance_acknowledge, id);
    c->request.acknowledge.notice_id = arena_strdup(&c->arena, notice_text(s, id, 0, "id"));
    accepted(s, c);
    assert_state(s, KIND_INSTANCE, id, "terminated");
    assert_string_equal(notice_text(s, id, 0, "state"), "completed");
    free(id);
}

static void only_the_latest_of_those_that_ended_are_remembered(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "a");
    json_t *notices;

    for (int n = 0; n < 3 * NOTICES_ENDED_MAX; n++) {
        accepted(s, notice(s, id, NOTICE_SPOT));
        act(s, instance_cancel_notices, id);
    }
    accepted(s, notice(s, id, NOTICE_SPOT));
    notices = json_object_get(look(s, KIND_INSTANCE, id), "notices");
    assert_int_equal(json_array_size(notices), NOTICES_ENDED_MAX + 1);
    assert_string_equal(text(json_array_get(notices, NOTICES_ENDED_MAX), "state"), "scheduled");
    free(id);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_takes_its_default_and_refuses_what_no_cloud_does),
        cmocka_unit_test(of_two_notices_the_first_by_deadline_is_found_and_none_comes_last),
        cmocka_unit_test(a_notice_that_the_state_does_not_allow_yet_waits_for_the_state),
        TEST(a_spot_notice_terminates_at_its_deadline_and_says_why),
        TEST(an_action_that_takes_time_is_started_and_then_completed),
        TEST(maintenance_reboots_and_other_notices_outlive_the_reboot),
        TEST(a_notice_without_an_action_only_comes_to_its_end),
        TEST(an_instance_that_stops_otherwise_takes_its_notices_along),
        TEST(a_notice_whose_deadline_falls_into_a_reboot_is_carried_out_after_it),
        TEST(what_cannot_be_is_refused_by_field),
        TEST(a_canceled_notice_never_fires_and_canceling_none_writes_nothing),
        TEST(acknowledging_brings_the_deadline_forward_to_now),
        TEST(only_the_latest_of_those_that_ended_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
