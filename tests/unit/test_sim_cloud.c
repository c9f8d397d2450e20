// The core: the writer, the funnel, the clock, the news, and what a restart finds.
#include "tests/unit/sim_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static struct change *new_instance(struct sim *s, const char *name)
{
    struct change *c = request(s, instance_create, NULL);

    c->request.instance.name = name == NULL ? NULL : arena_strdup(&c->arena, name);
    c->request.instance.families[0] = IP_V4;
    c->request.instance.family_count = 1;
    c->request.instance.external_ip = true;
    return c;
}

static void open_at(struct sim *s, const char *path, const struct cloud_config *base)
{
    struct cloud_config config = *base;
    struct error err = {0};

    config.store.path = path;
    log_setup(LOG_TEXT, LOG_ERROR);
    memset(s, 0, sizeof(*s));
    if (cloud_open(&config, &s->cloud, &err) < 0)
        fail_msg("cloud_open: %s", err.message);
    assert_int_equal(cloud_project(s->cloud, "default", &s->project, &err), 0);
}

static const struct cloud_config manual = {
    .clock = {.mode = CLOCK_MANUAL, .cloud_ns = CLOCK_MANUAL_START}, .seed = 1};

struct file {
    char directory[64];
    char path[96];
};

static void file_new(struct file *f)
{
    snprintf(f->directory, sizeof(f->directory), "/tmp/mockcloud-test-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/cloud.db", f->directory);
}

static void file_remove(struct file *f)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    char path[128];

    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(f->directory), 0);
}

// --- the funnel ---

struct gap_check {
    int64_t last;
    size_t count;
    int64_t time_ns;
};

static int check_gap(void *context, const struct event *event, struct bytes envelope)
{
    struct gap_check *check = context;

    (void)envelope;
    if (check->last != 0)
        assert_int_equal(event->revision, check->last + 1);
    check->last = event->revision;
    check->count++;
    return 0;
}

static void every_change_has_one_event_and_revisions_have_no_gaps(void **state)
{
    struct sim *s = *state;
    struct gap_check check = {0};
    struct event_query query = {.kind = -1, .limit = 1000};
    int64_t revision, before = cloud_revision(s->cloud);

    for (int i = 0; i < 10; i++)
        accepted(s, new_instance(s, NULL));
    refused(s, request(s, instance_stop, "i-none"), ERROR_NOT_FOUND, "", "i-none");
    accepted(s, new_instance(s, NULL));
    assert_int_equal(cloud_revision(s->cloud), before + 11);
    assert_int_equal(cloud_events(s->cloud, &query, check_gap, &check, &revision, NULL), 0);
    assert_int_equal(check.last, revision);
    assert_int_equal((int64_t)check.count, revision);
}

// Fails after it has written: nothing of it may stay.
static int write_and_fail(struct txn *t, struct change *c, struct error *err)
{
    int rc = instance_create(t, c, err);

    return rc < 0 ? rc : error_set(err, ERROR_STATE, "test", "failed on purpose");
}

static void a_change_that_fails_half_way_leaves_nothing(void **state)
{
    struct sim *s = *state;
    struct change *c = new_instance(s, "one");

    char *before = event_log(s, 0);
    c->apply = write_and_fail;
    refused(s, c, ERROR_STATE, "test", "on purpose");
    char *after = event_log(s, 0);
    assert_string_equal(before, after);
    free(before);
    free(after);
    json_t *document = accepted(s, new_instance(s, "one"));
    json_t *first = json_array_get(json_object_get(document, "addresses"), 0);
    assert_string_equal(text(first, "address"), "10.0.0.1"); // the address was given back too
}

static void a_repeated_key_gets_the_first_answer_and_changes_nothing(void **state)
{
    struct sim *s = *state;
    char id[ID_MAX];

    struct change *c = new_instance(s, "keyed");
    c->idempotency_key = "k1";
    c->fingerprint = 7;
    snprintf(id, sizeof(id), "%s", text(accepted(s, c), "id"));
    int64_t revision = cloud_revision(s->cloud);

    c = new_instance(s, "keyed");
    c->idempotency_key = "k1";
    c->fingerprint = 7;
    assert_int_equal(cloud_apply(s->cloud, c), 0);
    assert_true(c->replayed);
    assert_string_equal(c->result_id, id);
    assert_int_equal(c->revision, revision);
    change_free(c);
    assert_int_equal(cloud_revision(s->cloud), revision);

    c = new_instance(s, "other");
    c->idempotency_key = "k1";
    c->fingerprint = 8;
    refused(s, c, ERROR_IDEMPOTENCY, "Idempotency-Key", "another request");
}

static void a_key_is_forgotten_after_a_day_of_cloud_time(void **state)
{
    struct sim *s = *state;

    for (int day = 0; day < 2; day++) {
        struct change *c = new_instance(s, NULL);
        c->idempotency_key = "daily";
        c->fingerprint = (uint64_t)day;
        accepted(s, c);
        advance(s, INT64_C(26) * 3600 * NS_PER_S);
        accepted(s, new_instance(s, NULL)); // a batch in which the old keys go
    }
}

static void a_change_for_another_revision_is_refused(void **state)
{
    struct sim *s = *state;
    char id[ID_MAX];

    snprintf(id, sizeof(id), "%s", text(accepted(s, new_instance(s, NULL)), "id"));
    struct change *c = request(s, instance_stop, id);
    c->if_match = cloud_revision(s->cloud) - 1;
    refused(s, c, ERROR_PRECONDITION, "If-Match", id);
    c = request(s, instance_stop, id);
    c->if_match = cloud_revision(s->cloud);
    accepted(s, c);
}

// --- clock ---

struct order {
    int64_t last_ns;
    size_t fired;
};

static int check_order(void *context, const struct event *event, struct bytes envelope)
{
    struct order *order = context;
    json_t *parsed = json_loadb(envelope.data, envelope.length, 0, NULL);
    int64_t at;

    if (event->kind == KIND_INSTANCE && event->type == EVENT_UPDATED) {
        assert_int_equal(time_parse(text(parsed, "time"), &at, NULL), 0);
        assert_true(at >= order->last_ns);
        order->last_ns = at;
        order->fired++;
    }
    json_decref(parsed);
    return 0;
}

static void an_advance_fires_everything_in_the_order_it_is_due(void **state)
{
    struct sim *s = *state;
    struct order order = {0};
    struct event_query query = {.kind = KIND_INSTANCE, .limit = 100000};
    int64_t revision;

    struct change *c = request(s, latency_put, "instance.pending");
    c->request.latency =
        (struct distribution){.kind = DISTRIBUTION_UNIFORM, .a = NS_PER_S, .b = 600 * NS_PER_S};
    accepted(s, c);
    c = new_instance(s, "n");
    c->request.instance.count = 5000; // more than one transaction of an advance
    accepted(s, c);
    struct clock_change what = {.action = CLOCK_ADVANCE_BY, .ns = 600 * NS_PER_S};
    c = clock_change_new(&what, "clock.advance");
    assert_int_equal(cloud_apply(s->cloud, c), 0);
    assert_int_equal(c->clock->fired, 5000);
    change_free(c);
    assert_int_equal(cloud_now(s->cloud), CLOCK_MANUAL_START + 600 * NS_PER_S);
    assert_int_equal(cloud_events(s->cloud, &query, check_order, &order, &revision, NULL), 0);
    assert_int_equal(order.fired, 5000);
    assert_int_equal(cloud_clock(s->cloud).next_deadline_ns, 0);
}

static void an_advance_follows_chains_of_deadlines(void **state)
{
    struct sim *s = *state;
    char id[ID_MAX];

    takes(s, "instance.terminating", 10 * NS_PER_S);
    snprintf(id, sizeof(id), "%s", text(accepted(s, new_instance(s, NULL)), "id"));
    act(s, instance_terminate, id);
    advance(s, 10 * NS_PER_S);
    assert_state(s, KIND_INSTANCE, id, "terminated");
    advance(s, 60 * NS_PER_S - 1);
    assert_state(s, KIND_INSTANCE, id, "terminated");
    advance(s, 1);
    assert_null(look(s, KIND_INSTANCE, id));
}

static void the_past_is_out_of_reach(void **state)
{
    struct sim *s = *state;
    struct clock_change what = {.action = CLOCK_ADVANCE_TO, .ns = CLOCK_MANUAL_START - 1};

    refused(s, clock_change_new(&what, "clock.advance"), ERROR_INVALID, "to", "past");
}

static void a_scaled_clock_fires_by_itself_and_a_frozen_one_does_not(void **state)
{
    static const struct cloud_config scaled = {
        .clock = {.mode = CLOCK_SCALED, .scale = 1000, .cloud_ns = CLOCK_MANUAL_START}, .seed = 1};
    struct cloud_config config = scaled;
    struct sim s;

    (void)state;
    config.clock.wall_ns = clock_wall();
    open_at(&s, ":memory:", &config);
    takes(&s, "instance.pending", 20 * NS_PER_S); // 20 ms
    int64_t created = cloud_revision(s.cloud) + 1;
    accepted(&s, new_instance(&s, NULL));
    int64_t deadline = clock_monotonic() + 30 * NS_PER_S;
    assert_int_equal(cloud_wait_revision(s.cloud, created, deadline), created + 1);

    struct clock_change freeze = {.action = CLOCK_FREEZE};
    accepted(&s, clock_change_new(&freeze, "clock.freeze"));
    int64_t frozen_at = cloud_now(s.cloud);
    accepted(&s, new_instance(&s, NULL));
    created = cloud_revision(s.cloud);
    assert_int_equal(cloud_wait_revision(s.cloud, created, clock_monotonic() + 100 * NS_PER_MS),
                     created);
    assert_int_equal(cloud_now(s.cloud), frozen_at);
    struct clock_change resume = {.action = CLOCK_RESUME};
    accepted(&s, clock_change_new(&resume, "clock.resume"));
    assert_true(cloud_wait_revision(s.cloud, created + 1, deadline) >= created + 2);
    sim_close(&s);
}

// --- restart ---

static void a_restart_finds_revision_deadlines_clock_and_addresses(void **state)
{
    struct file f;
    struct sim s;
    char id[ID_MAX];

    (void)state;
    file_new(&f);
    open_at(&s, f.path, &manual);
    takes(&s, "instance.pending", 10 * NS_PER_S);
    snprintf(id, sizeof(id), "%s", text(accepted(&s, new_instance(&s, NULL)), "id"));
    advance(&s, 4 * NS_PER_S);
    int64_t revision = cloud_revision(s.cloud);
    sim_close(&s);

    open_at(&s, f.path, &manual);
    assert_int_equal(cloud_revision(s.cloud), revision);
    assert_int_equal(cloud_now(s.cloud), CLOCK_MANUAL_START + 4 * NS_PER_S);
    assert_state(&s, KIND_INSTANCE, id, "pending");
    advance(&s, 6 * NS_PER_S);
    assert_state(&s, KIND_INSTANCE, id, "running");
    json_t *document = accepted(&s, new_instance(&s, NULL)); // latency was kept too
    assert_string_equal(text(document, "state"), "pending");
    assert_string_equal(text(json_array_get(json_object_get(document, "addresses"), 0), "address"),
                        "10.0.0.2");
    sim_close(&s);
    file_remove(&f);
}

static void another_seed_or_clock_than_the_databases_is_refused(void **state)
{
    struct cloud_config config = manual;
    struct cloud *cloud;
    struct error err = {0};
    struct file f;
    struct sim s;

    (void)state;
    file_new(&f);
    open_at(&s, f.path, &manual);
    sim_close(&s);
    config.store.path = f.path;
    config.seed = 2;
    config.has_seed = true;
    assert_int_equal(cloud_open(&config, &cloud, &err), -ERROR_INVALID);
    assert_string_equal(err.field, "seed");
    memset(&err, 0, sizeof(err));
    config.has_seed = false;
    config.has_clock = true;
    config.clock.mode = CLOCK_REAL;
    assert_int_equal(cloud_open(&config, &cloud, &err), -ERROR_INVALID);
    assert_string_equal(err.field, "clock");
    file_remove(&f);
}

// --- events and news ---

static void events_from_memory_and_from_the_database_are_the_same(void **state)
{
    struct file f;
    struct sim s;

    (void)state;
    file_new(&f);
    open_at(&s, f.path, &manual);
    int64_t since = cloud_revision(s.cloud);
    for (int i = 0; i < 20; i++)
        accepted(&s, new_instance(&s, NULL));
    char *from_memory = event_log(&s, since);
    sim_close(&s);
    open_at(&s, f.path, &manual); // the news of before are only in the database
    char *from_database = event_log(&s, since);
    assert_true(strlen(from_memory) > 1000);
    assert_string_equal(from_memory, from_database);
    free(from_memory);
    free(from_database);
    sim_close(&s);
    file_remove(&f);
}

static int nothing(void *context, const struct event *event, struct bytes envelope)
{
    (void)context;
    (void)event;
    (void)envelope;
    return 0;
}

static void assert_trimmed(struct sim *s, int64_t least_kept, int64_t most_kept)
{
    struct event_query query = {
        .since = cloud_oldest_revision(s->cloud) - 1, .kind = -1, .limit = 100000};
    struct gap_check check = {0};
    struct error err = {0};
    int64_t revision;

    int64_t kept = cloud_revision(s->cloud) - cloud_oldest_revision(s->cloud) + 1;
    assert_in_range(kept, least_kept, most_kept);
    assert_int_equal(cloud_events(s->cloud, &query, check_gap, &check, &revision, &err), 0);
    assert_int_equal((int64_t)check.count, revision - query.since);
    query.since = 1;
    assert_int_equal(cloud_events(s->cloud, &query, nothing, NULL, &revision, &err),
                     -ERROR_COMPACTED);
}

// Larger than the ring of the news, so that the database is asked for what is old.
static void old_events_go_by_number(void **state)
{
    struct cloud_config config = manual;
    struct sim s;

    (void)state;
    config.events_kept = 5000;
    open_at(&s, ":memory:", &config);
    for (int i = 0; i < 2; i++) {
        struct change *c = new_instance(&s, i == 0 ? "a" : "b");
        c->request.instance.count = 4000;
        accepted(&s, c);
    }
    for (int i = 0; i < 200; i++) { // a few more at a time
        assert_trimmed(&s, 5000, 5000 + 5000 / 64);
        accepted(&s, new_instance(&s, NULL));
    }
    sim_close(&s);
}

static void old_events_go_by_bytes(void **state)
{
    struct cloud_config config = manual;
    struct sim s;

    (void)state;
    config.event_bytes_kept = 3000000;
    open_at(&s, ":memory:", &config);
    for (int i = 0; i < 2; i++) {
        struct change *c = new_instance(&s, i == 0 ? "a" : "b");
        c->request.instance.count = 5000;
        accepted(&s, c);
    }
    assert_trimmed(&s, 2000, 8000);
    sim_close(&s);
}

static void *wait_for_news(void *context)
{
    struct sim *s = context;

    cloud_wait_revision(s->cloud, cloud_revision(s->cloud), INT64_MAX);
    return NULL;
}

static void who_waits_is_woken(void **state)
{
    struct sim *s = *state;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wait_for_news, s), 0);
    while (pthread_tryjoin_np(thread, NULL) != 0) { // it may not be waiting yet
        cloud_wake(s->cloud);
        usleep(1000);
    }
    int64_t now = clock_monotonic();
    int64_t revision = cloud_revision(s->cloud);
    assert_int_equal(cloud_wait_revision(s->cloud, revision, now + 5 * NS_PER_MS), revision);
    assert_true(clock_monotonic() >= now + 5 * NS_PER_MS);
}

// --- many at once ---

#define SUBMITTERS 4
#define EACH 100

static void *submit_many(void *context)
{
    struct sim *s = context;
    int64_t refusals = 0;

    for (int i = 0; i < EACH; i++) {
        struct change *c = new_instance(s, NULL);
        refusals += cloud_apply(s->cloud, c) < 0;
        change_free(c);
    }
    return (void *)(intptr_t)refusals;
}

static void *read_many(void *context)
{
    struct sim *s = context;
    int64_t revision, next, last = 0;
    size_t count = 0;
    struct buffer out;

    buffer_init(&out);
    while (count < SUBMITTERS * EACH) {
        struct list_query query = {.kind = KIND_INSTANCE, .limit = 10000};
        buffer_clear(&out);
        if (cloud_list(s->cloud, &query, &out, &count, &next, &revision, NULL) < 0 ||
            revision < last)
            return (void *)(intptr_t)1;
        last = revision;
    }
    buffer_fini(&out);
    return NULL;
}

static void many_submitters_and_readers_lose_nothing(void **state)
{
    struct sim *s = *state;
    pthread_t threads[SUBMITTERS], reader;
    int64_t before = cloud_revision(s->cloud);
    void *bad;

    assert_int_equal(pthread_create(&reader, NULL, read_many, s), 0);
    for (int i = 0; i < SUBMITTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, s), 0);
    for (int i = 0; i < SUBMITTERS; i++) {
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    pthread_join(reader, &bad);
    assert_null(bad);
    assert_int_equal(cloud_revision(s->cloud), before + SUBMITTERS * EACH);
    struct cloud_stats stats = cloud_stats(s->cloud);
    assert_int_equal(stats.changes, SUBMITTERS * EACH);
    assert_true(stats.writable);
}

static void seeded_run(struct sim *s)
{
    char id[ID_MAX];
    struct change *c = request(s, latency_put, "instance.stopping");

    c->request.latency =
        (struct distribution){.kind = DISTRIBUTION_LOGNORMAL, .a = NS_PER_S, .b = NS_PER_S};
    accepted(s, c);
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof(id), "%s", text(accepted(s, new_instance(s, NULL)), "id"));
        act(s, instance_stop, id);
        if (i % 7 == 0) // refused changes leave no trace
            refused(s, request(s, instance_start, id), ERROR_STATE, "", "stopping");
        advance(s, i % 3 * NS_PER_S);
    }
}

static void the_same_seed_and_changes_give_the_same_event_log_byte_for_byte(void **state)
{
    struct sim *s = *state;
    struct sim other;

    seeded_run(s);
    sim_open(&other, 1);
    seeded_run(&other);
    char *a = event_log(s, 0), *b = event_log(&other, 0);
    assert_string_equal(a, b);
    free(b);
    sim_close(&other);
    sim_open(&other, 2);
    seeded_run(&other);
    b = event_log(&other, 0);
    assert_string_not_equal(a, b);
    free(a);
    free(b);
    sim_close(&other);
}

// --- catalogue ---

static struct change *zone_change(struct sim *s, enum zone_state wanted)
{
    struct change *c = request(s, zone_put, "mock-1a");

    c->request.zone.region = "mock-1";
    c->request.zone.state = wanted;
    return c;
}

static void what_is_put_as_it_is_writes_nothing(void **state)
{
    struct sim *s = *state;

    takes(s, "instance.pending", NS_PER_S);
    int64_t revision = cloud_revision(s->cloud);
    takes(s, "instance.pending", NS_PER_S);
    assert_string_equal(text(accepted(s, zone_change(s, ZONE_AVAILABLE)), "name"), "mock-1a");
    struct change *c = request(s, instance_type_put, "small");
    c->request.instance_type.cpus = 2;
    c->request.instance_type.memory_mib = 4096;
    c->request.instance_type.max_pods = 110;
    accepted(s, c);
    assert_int_equal(cloud_revision(s->cloud), revision);
    accepted(s, zone_change(s, ZONE_UNAVAILABLE));
    takes(s, "instance.pending", 2 * NS_PER_S);
    assert_int_equal(cloud_revision(s->cloud), revision + 2);
}

// --- projects and pools ---

static void a_deleted_project_takes_everything_of_its_own_along(void **state)
{
    struct sim *s = *state;
    struct identity who;
    int64_t next, revision;
    size_t count;
    struct buffer out;

    struct change *c = request(s, project_create, NULL);
    c->request.project_create.name = "team-a";
    accepted(s, c);
    c = request(s, project_create_token, "team-a");
    snprintf(c->request.token.token, sizeof(c->request.token.token), "%s", "0123456789abcdef");
    accepted(s, c);
    assert_int_equal(cloud_authenticate(s->cloud, "0123456789abcdef", 16, &who, NULL), 0);
    assert_string_equal(who.project_name, "team-a");
    assert_int_equal(who.scope, SCOPE_CLOUD);

    accepted(s, new_instance(s, "ours"));
    c = new_instance(s, "ours"); // the same name: another project
    c->project = who.project;
    c->project_name = "team-a";
    accepted(s, c);
    act(s, project_delete, "team-a");
    assert_int_equal(cloud_authenticate(s->cloud, "0123456789abcdef", 16, &who, NULL),
                     -ERROR_UNAUTHORIZED);
    struct list_query query = {.kind = KIND_INSTANCE, .limit = 10};
    buffer_init(&out);
    assert_int_equal(cloud_list(s->cloud, &query, &out, &count, &next, &revision, NULL), 0);
    assert_int_equal(count, 1);
    buffer_fini(&out);
    refused(s, request(s, project_delete, "default"), ERROR_IN_USE, "", "default");
}

static void an_exhausted_pool_says_so_and_recovers(void **state)
{
    struct cloud_config config = manual;
    struct sim s;
    char id[ID_MAX];

    (void)state;
    config.pools.internal_v4 = "10.9.0.0/29"; // six usable addresses
    open_at(&s, ":memory:", &config);
    for (int i = 0; i < 6; i++)
        snprintf(id, sizeof(id), "%s", text(accepted(&s, new_instance(&s, NULL)), "id"));
    refused(&s, new_instance(&s, NULL), ERROR_EXHAUSTED, "", "internal_v4 (10.9.0.0/29)");
    refused(&s, new_instance(&s, NULL), ERROR_EXHAUSTED, "", "internal_v4");
    act(&s, instance_terminate, id);
    json_t *document = accepted(&s, new_instance(&s, NULL));
    assert_string_equal(text(json_array_get(json_object_get(document, "addresses"), 0), "address"),
                        "10.9.0.6");
    sim_close(&s);
}

static void bad_pools_are_refused_by_name(void **state)
{
    static const struct {
        struct pool_config pools;
        const char *says;
    } bad[] = {
        {{.internal_v4 = "10.0.0.0/33"}, "internal_v4"},
        {{.internal_v4 = "fd00::/64"}, "internal_v4: fd00::/64 is not an ipv4 block"},
        {{.external_v4 = "10.0.0.0/24"}, "overlaps"},
        {{.load_balancer_v4 = "127.0.0.0/31"}, "four addresses"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cloud_config config = manual;
        struct cloud *cloud;
        struct error err = {0};
        config.store.path = ":memory:";
        config.pools = bad[i].pools;
        assert_int_equal(cloud_open(&config, &cloud, &err), -ERROR_INVALID);
        assert_string_equal(err.field, "address_pools");
        if (strstr(err.message, bad[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.message, bad[i].says);
    }
}

int main(void)
{
#define IN_A_CLOUD(test) cmocka_unit_test_setup_teardown(test, sim_setup, sim_teardown)
    const struct CMUnitTest tests[] = {
        IN_A_CLOUD(every_change_has_one_event_and_revisions_have_no_gaps),
        IN_A_CLOUD(a_change_that_fails_half_way_leaves_nothing),
        IN_A_CLOUD(a_repeated_key_gets_the_first_answer_and_changes_nothing),
        IN_A_CLOUD(a_key_is_forgotten_after_a_day_of_cloud_time),
        IN_A_CLOUD(a_change_for_another_revision_is_refused),
        IN_A_CLOUD(an_advance_fires_everything_in_the_order_it_is_due),
        IN_A_CLOUD(an_advance_follows_chains_of_deadlines),
        IN_A_CLOUD(the_past_is_out_of_reach),
        cmocka_unit_test(a_scaled_clock_fires_by_itself_and_a_frozen_one_does_not),
        cmocka_unit_test(a_restart_finds_revision_deadlines_clock_and_addresses),
        cmocka_unit_test(another_seed_or_clock_than_the_databases_is_refused),
        cmocka_unit_test(events_from_memory_and_from_the_database_are_the_same),
        cmocka_unit_test(old_events_go_by_number),
        cmocka_unit_test(old_events_go_by_bytes),
        IN_A_CLOUD(who_waits_is_woken),
        IN_A_CLOUD(many_submitters_and_readers_lose_nothing),
        IN_A_CLOUD(the_same_seed_and_changes_give_the_same_event_log_byte_for_byte),
        IN_A_CLOUD(what_is_put_as_it_is_writes_nothing),
        IN_A_CLOUD(a_deleted_project_takes_everything_of_its_own_along),
        cmocka_unit_test(an_exhausted_pool_says_so_and_recovers),
        cmocka_unit_test(bad_pools_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
