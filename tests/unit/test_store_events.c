#include "tests/unit/store_fixture.h"

struct collected {
    char text[4096]; // "<revision>:<document> " of each
    int count;
    int stop_after;
};

static int collect(void *context, const struct event *event)
{
    struct collected *c = context;
    size_t length = strlen(c->text);

    snprintf(c->text + length, sizeof(c->text) - length, "%lld:%.*s ", (long long)event->revision,
             (int)event->document.length, (const char *)event->document.data);
    return ++c->count == c->stop_after ? -ERROR_STATE : 0;
}

static int read_events(struct fixture *f, struct event_query query, struct collected *out,
                       int64_t *out_revision)
{
    struct reader *reader;
    int result;

    *out = (struct collected){.stop_after = out->stop_after};
    OK(f, reader_open(f->store, &reader, &f->err));
    result = reader_events(reader, &query, collect, out, out_revision, &f->err);
    reader_close(reader);
    return result;
}

static const char *events_text(struct fixture *f, struct event_query query, int64_t *out_revision)
{
    struct collected c = {0};

    OK(f, read_events(f, query, &c, out_revision));
    return arena_strdup(&f->arena, c.text);
}

static int check_event(void *context, const struct event *event)
{
    int *seen = context;

    assert_int_equal(event->revision, 1);
    assert_int_equal(event->time_ns, 1000);
    assert_int_equal(event->project, 7);
    assert_string_equal(event->project_name, "default");
    assert_int_equal(event->kind, KIND_ROUTE);
    assert_string_equal(event->id, "i-1");
    assert_int_equal(event->type, EVENT_UPDATED);
    assert_int_equal(event->cause, CAUSE_TIMER);
    assert_string_equal(event->operation, "instances.create");
    ++*seen;
    return 0;
}

static void an_event_reads_back_as_it_was_appended(void **state)
{
    struct fixture *f = *state;
    struct event_query query = {.kind = -1, .limit = 10};
    struct reader *reader;
    int64_t revision = 0;
    int seen = 0;

    put_event(f, KIND_ROUTE, 7, "{}");
    OK(f, reader_open(f->store, &reader, &f->err));
    OK(f, reader_events(reader, &query, check_event, &seen, &revision, &f->err));
    assert_int_equal(seen, 1);
    assert_int_equal(revision, 1);
    reader_close(reader);
}

static void events_come_in_revision_order_filtered_and_limited(void **state)
{
    struct fixture *f = *state;
    int64_t revision = -1;

    assert_string_equal(events_text(f, (struct event_query){.kind = -1, .limit = 9}, &revision),
                        "");
    assert_int_equal(revision, 0);
    put_event(f, KIND_INSTANCE, 1, "a");
    put_event(f, KIND_ROUTE, 2, "b");
    put_event(f, KIND_ZONE, 0, "c");
    put_event(f, KIND_INSTANCE, 2, "d");
    assert_string_equal(events_text(f, (struct event_query){.kind = -1, .limit = 9}, &revision),
                        "1:a 2:b 3:c 4:d ");
    assert_int_equal(revision, 4);
    assert_string_equal(
        events_text(f, (struct event_query){.kind = -1, .limit = 2, .since = 1}, &revision),
        "2:b 3:c ");
    assert_string_equal(
        events_text(f, (struct event_query){.kind = KIND_INSTANCE, .limit = 9}, &revision),
        "1:a 4:d ");
    assert_string_equal(
        events_text(f, (struct event_query){.kind = -1, .limit = 9, .project = 2}, &revision),
        "2:b 3:c 4:d ");
    assert_string_equal(
        events_text(f, (struct event_query){.kind = KIND_INSTANCE, .limit = 9, .project = 2},
                    &revision),
        "4:d ");
    assert_int_equal(revision, 4);
}

static void a_callback_that_refuses_stops_the_reading(void **state)
{
    struct fixture *f = *state;
    struct collected c = {.stop_after = 2};
    int64_t revision = -1;

    for (int i = 0; i < 5; i++)
        put_event(f, KIND_ROUTE, 1, "x");
    assert_int_equal(read_events(f, (struct event_query){.kind = -1, .limit = 9}, &c, &revision),
                     -ERROR_STATE);
    assert_int_equal(c.count, 2);
    assert_int_equal(revision, -1);
}

static void trimmed_events_are_compacted_and_the_newest_one_stays(void **state)
{
    struct fixture *f = *state;
    struct collected c = {0};
    int64_t revision, bytes = -1;

    for (int i = 0; i < 6; i++)
        put_event(f, KIND_ROUTE, 1, "12345");
    OK(f, store_events_trim(f->store, 2, 100, &bytes, &f->err));
    assert_int_equal(bytes, 10);
    FAILS(f, ERROR_COMPACTED,
          read_events(f, (struct event_query){.kind = -1, .limit = 9}, &c, &revision));
    FAILS(f, ERROR_COMPACTED,
          read_events(f, (struct event_query){.kind = -1, .limit = 9, .since = 1}, &c, &revision));
    assert_string_equal(
        events_text(f, (struct event_query){.kind = -1, .limit = 1, .since = 2}, &revision),
        "3:12345 ");
    OK(f, store_events_trim(f->store, 5, 2, &bytes, &f->err)); // the limit counts
    assert_string_equal(
        events_text(f, (struct event_query){.kind = -1, .limit = 1, .since = 4}, &revision),
        "5:12345 ");
    OK(f, store_events_trim(f->store, 100, 100, &bytes, &f->err));
    assert_int_equal(bytes, 5);
    assert_string_equal(
        events_text(f, (struct event_query){.kind = -1, .limit = 9, .since = 5}, &revision),
        "6:12345 ");
    assert_int_equal(revision, 6);
    OK(f, store_events_trim(f->store, 100, 100, &bytes, &f->err));
    assert_int_equal(bytes, 0);
}

static void a_revision_has_one_event(void **state)
{
    struct fixture *f = *state;

    put_event(f, KIND_ROUTE, 1, "x");
    f->revision--;
    struct event again = {.revision = 1, .id = "i-1"};
    FAILS(f, ERROR_EXISTS, store_event_append(f->store, &again, &f->err));
}

// --- idempotency ---

static struct idempotent entry(const char *key, int64_t created_ns)
{
    return (struct idempotent){.project = 1,
                               .operation = "instances.create",
                               .key = key,
                               .fingerprint = UINT64_MAX - 1,
                               .created_ns = created_ns,
                               .revision = 5,
                               .id = "i-1",
                               .document = text_bytes("{}")};
}

static int find_entry(struct fixture *f, int64_t project, const char *operation, const char *key,
                      struct idempotent *out)
{
    return OK(f, store_idempotent_get(f->store, project, operation, key, &f->arena, out, &f->err));
}

static void an_answer_is_found_by_project_operation_and_key(void **state)
{
    struct fixture *f = *state;
    struct idempotent first = entry("k", 10), found;

    assert_int_equal(find_entry(f, 1, "instances.create", "k", &found), 0);
    OK(f, store_idempotent_put(f->store, &first, &f->err));
    assert_int_equal(find_entry(f, 2, "instances.create", "k", &found), 0);
    assert_int_equal(find_entry(f, 1, "routes.create", "k", &found), 0);
    assert_int_equal(find_entry(f, 1, "instances.create", "k", &found), 1);
    assert_true(found.fingerprint == UINT64_MAX - 1);
    assert_int_equal(found.created_ns, 10);
    assert_int_equal(found.revision, 5);
    assert_string_equal(found.id, "i-1");
    assert_int_equal(found.document.length, 2);
    FAILS(f, ERROR_EXISTS, store_idempotent_put(f->store, &first, &f->err));
}

static void old_answers_are_trimmed_and_young_ones_stay(void **state)
{
    struct fixture *f = *state;
    struct idempotent entries[] = {entry("a", 10), entry("b", 20), entry("c", 30)}, found;

    OK(f, store_idempotent_trim(f->store, 100, &f->err));
    for (int i = 0; i < 3; i++)
        OK(f, store_idempotent_put(f->store, &entries[i], &f->err));
    OK(f, store_idempotent_trim(f->store, 20, &f->err));
    assert_int_equal(find_entry(f, 1, "instances.create", "a", &found), 0);
    assert_int_equal(find_entry(f, 1, "instances.create", "b", &found), 1);
    OK(f, store_idempotent_trim(f->store, 31, &f->err));
    assert_int_equal(find_entry(f, 1, "instances.create", "c", &found), 0);
}

// --- tokens ---

struct tokens {
    char text[256];
    int limit;
};

static int note_token(void *context, const char *token, int64_t project, int scope)
{
    struct tokens *t = context;
    size_t length = strlen(t->text);

    snprintf(t->text + length, sizeof(t->text) - length, "%s/%lld/%d ", token, (long long)project,
             scope);
    return --t->limit == 0 ? -ERROR_STATE : 0;
}

static void tokens_are_kept_until_their_project_goes(void **state)
{
    struct fixture *f = *state;
    struct tokens all = {0}, left = {0}, one = {.limit = 1};

    OK(f, store_token_put(f->store, "aa", 1, 0, &f->err));
    OK(f, store_token_put(f->store, "bb", 2, 0, &f->err));
    OK(f, store_token_put(f->store, "bb", 2, 1, &f->err));
    OK(f, store_tokens_each(f->store, note_token, &all, &f->err));
    assert_string_equal(all.text, "aa/1/0 bb/2/1 ");
    assert_int_equal(store_tokens_each(f->store, note_token, &one, &f->err), -ERROR_STATE);
    OK(f, store_tokens_delete(f->store, 1, &f->err));
    OK(f, store_tokens_each(f->store, note_token, &left, &f->err));
    assert_string_equal(left.text, "bb/2/1 ");
}

// --- meta ---

static void numbers_are_kept_over_a_restart_and_unset_ones_leave_the_default(void **state)
{
    struct fixture *f = *state;
    int64_t number = 42;
    double real = 0.5;

    OK(f, store_meta_get_int(f->store, "n", &number, &f->err));
    OK(f, store_meta_get_double(f->store, "x", &real, &f->err));
    assert_int_equal(number, 42);
    assert_true(real == 0.5);
    OK(f, store_meta_set_int(f->store, "n", INT64_MIN, &f->err));
    OK(f, store_meta_set_double(f->store, "x", 1.0 / 3, &f->err));
    OK(f, store_meta_set_double(f->store, "whole", 2.0, &f->err));
    reopen(f);
    OK(f, store_meta_get_int(f->store, "n", &number, &f->err));
    OK(f, store_meta_get_double(f->store, "x", &real, &f->err));
    assert_true(number == INT64_MIN);
    assert_true(real == 1.0 / 3);
    OK(f, store_meta_get_double(f->store, "whole", &real, &f->err));
    assert_true(real == 2.0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_event_reads_back_as_it_was_appended),
        TEST(events_come_in_revision_order_filtered_and_limited),
        TEST(a_callback_that_refuses_stops_the_reading),
        TEST(trimmed_events_are_compacted_and_the_newest_one_stays),
        TEST(a_revision_has_one_event),
        TEST(an_answer_is_found_by_project_operation_and_key),
        TEST(old_answers_are_trimmed_and_young_ones_stay),
        TEST(tokens_are_kept_until_their_project_goes),
        TEST(numbers_are_kept_over_a_restart_and_unset_ones_leave_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
