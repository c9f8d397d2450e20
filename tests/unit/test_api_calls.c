// The call log: many threads record, nothing is lost, and memory stays bounded.
#include "api/calls.h"
#include "tests/unit/sim_fixture.h"

#include <pthread.h>
#include <stdio.h>

static struct sim sim;
static struct api api;

static int setup(void **state)
{
    (void)state;
    sim_open(&sim, 1);
    api.cloud = sim.cloud;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sim_close(&sim);
    return 0;
}

static struct request request_by(const char *agent, bool has_token)
{
    struct request r = {.api = &api, .endpoint = &endpoints[0], .path = {"/v1/instances", 13}};

    r.headers.user_agent = agent;
    if (has_token) {
        r.who.project = sim.project;
        strcpy(r.who.project_name, "default");
        strcpy(r.who.token_id, "tok-1");
    }
    return r;
}

static void record(struct calls *calls, const char *agent, bool has_token, int status)
{
    struct request r = request_by(agent, has_token);

    calls_record(calls, &r, status, 1000);
}

static json_t *count(struct calls *calls, const struct calls_filter *filter)
{
    struct buffer out;
    json_t *document;

    buffer_init(&out);
    calls_count(calls, filter, &out);
    document = json_loadb(out.data, out.length, 0, NULL);
    buffer_fini(&out);
    assert_non_null(document);
    return document;
}

static int64_t total(struct calls *calls, const struct calls_filter *filter)
{
    json_t *document = count(calls, filter);
    int64_t n = json_integer_value(json_object_get(document, "total"));

    json_decref(document);
    return n;
}

static size_t list(struct calls *calls, int limit, int64_t before, int64_t *out_next)
{
    struct buffer out;
    json_t *items;
    size_t n;

    buffer_init(&out);
    buffer_append_string(&out, "[");
    calls_list(calls, &(struct calls_filter){0}, before, limit, &out, out_next);
    buffer_append_string(&out, "]");
    items = json_loadb(out.data, out.length, 0, NULL);
    assert_non_null(items);
    n = json_array_size(items);
    json_decref(items);
    buffer_fini(&out);
    return n;
}

#define THREADS 8
#define EACH 3000

static void *record_many(void *argument)
{
    char agent[32];

    for (int i = 0; i < EACH; i++) {
        snprintf(agent, sizeof(agent), "agent-%d", i % 5);
        record(argument, agent, true, i % 7 == 0 ? 429 : 200);
    }
    return NULL;
}

static void threads_that_share_shards_lose_nothing(void **state)
{
    struct calls *calls = calls_new(THREADS * EACH, 3, "test");
    pthread_t threads[THREADS];
    int64_t before = 0, next = 0;
    size_t seen = 0;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_many, calls), 0);
    total(calls, &(struct calls_filter){0}); // readers do not disturb
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(total(calls, &(struct calls_filter){0}), THREADS * EACH);
    assert_int_equal(total(calls, &(struct calls_filter){.since_ns = 1}), THREADS * EACH);
    assert_int_equal(total(calls, &(struct calls_filter){.statuses = "4xx", .caller = "agent-?"}),
                     THREADS * ((EACH + 6) / 7));
    do {
        seen += list(calls, 997, before, &next);
        before = next;
    } while (next > 0);
    assert_int_equal(seen, THREADS * EACH);
    calls_free(calls);
}

static void a_full_ring_keeps_the_newest_and_says_that_it_is_not_complete(void **state)
{
    struct calls *calls = calls_new(10, 1, "test");
    int64_t next;
    json_t *document;

    (void)state;
    for (int i = 0; i < 1000; i++)
        record(calls, "a", true, 200);
    assert_int_equal(list(calls, 100, 0, &next), 10);
    assert_int_equal(next, 0);
    document = count(calls, &(struct calls_filter){.since_ns = 1});
    assert_int_equal(json_integer_value(json_object_get(document, "total")), 10);
    assert_true(json_is_false(json_object_get(document, "complete")));
    json_decref(document);
    assert_int_equal(total(calls, &(struct calls_filter){0}), 1000);
    calls_reset(calls);
    assert_int_equal(total(calls, &(struct calls_filter){0}), 0);
    assert_int_equal(list(calls, 100, 0, &next), 0);
    calls_free(calls);
}

static void callers_beyond_the_bound_are_counted_as_other(void **state)
{
    struct calls *calls = calls_new(100, 1, "test");
    json_t *document;
    char agent[32];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(agent, sizeof(agent), "stranger-%d", i);
        record(calls, agent, false, 401);
    }
    for (int i = 0; i < 3000; i++) {
        snprintf(agent, sizeof(agent), "known-%d", i);
        record(calls, agent, true, 200);
    }
    document = count(calls, &(struct calls_filter){0});
    assert_int_equal(json_array_size(json_object_get(document, "items")), CALLERS_MAX);
    assert_int_equal(json_integer_value(json_object_get(document, "total")), 6000);
    json_decref(document);
    assert_int_equal(total(calls, &(struct calls_filter){.caller = "stranger-*"}), CALLERS_MAX / 8);
    assert_int_equal(total(calls, &(struct calls_filter){.caller = "known-*"}),
                     CALLERS_MAX - CALLERS_MAX / 8 - 1);
    calls_free(calls);
}

static void callers_of_projects_that_are_gone_make_room(void **state)
{
    struct calls *calls = calls_new(5000, 1, "test");
    struct request r;
    char agent[32];

    (void)state;
    for (int i = 0; i < 2000; i++) {
        snprintf(agent, sizeof(agent), "old-%d", i);
        r = request_by(agent, true);
        r.who.project = 1000000; // never was
        calls_record(calls, &r, 200, 1000);
    }
    record(calls, "new", true, 200);
    // The table was swept when it was first full, and not again since.
    assert_true(total(calls, &(struct calls_filter){.caller = "old-*"}) < CALLERS_MAX);
    assert_int_equal(total(calls, &(struct calls_filter){.caller = "new"}), 1);
    calls_free(calls);
}

static void statuses_are_read_strictly(void **state)
{
    static const char *const good[] = {"200", "5xx", "429,5xx", "000", "0xx"};
    static const char *const bad[] = {"",    ",",   "200,", "2x",   "2x0",
                                      "600", "6xx", "20",   "2000", "x00"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(calls_statuses_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(calls_statuses_valid(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_share_shards_lose_nothing),
        cmocka_unit_test(a_full_ring_keeps_the_newest_and_says_that_it_is_not_complete),
        cmocka_unit_test(callers_beyond_the_bound_are_counted_as_other),
        cmocka_unit_test(callers_of_projects_that_are_gone_make_room),
        cmocka_unit_test(statuses_are_read_strictly),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
