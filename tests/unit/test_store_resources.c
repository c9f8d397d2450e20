#include "tests/unit/store_fixture.h"

static int get(struct fixture *f, enum kind kind, const char *id, struct row *out)
{
    return OK(f, store_get(f->store, kind, 0, id, &f->arena, out, &f->err));
}

static void assert_bytes(struct bytes bytes, const char *text)
{
    assert_int_equal(bytes.length, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.length);
}

static void a_row_reads_back_as_it_was_put(void **state)
{
    struct fixture *f = *state;
    struct row row = make_row(f, 1), back;

    row.transition_ns = 5;
    OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    assert_int_equal(get(f, KIND_INSTANCE, "i-1", &back), 1);
    assert_int_equal(back.seq, row.seq);
    assert_string_equal(back.id, "i-1");
    assert_int_equal(back.project, 1);
    assert_string_equal(back.name, "n1");
    assert_int_equal(back.state, 1);
    assert_int_equal(back.transition_ns, 5);
    assert_int_equal(back.revision, row.revision);
    assert_string_equal(back.columns[0], "zone-a");
    assert_string_equal(back.columns[1], "small");
    assert_string_equal(back.columns[2], "spot");
    assert_bytes(back.record, "record 1");
    assert_bytes(back.document, "{\"n\":1}");
}

static void every_kind_with_a_table_stores_rows_apart_from_the_others(void **state)
{
    struct fixture *f = *state;
    const char *names[KIND_COLUMNS_MAX];
    int examined = 0;

    for (int kind = 0; kind < KIND_CLOCK; kind++) {
        struct row row = make_row(f, kind), back;
        for (size_t i = kind_columns((enum kind)kind, names); i < KIND_COLUMNS_MAX; i++)
            row.columns[i] = NULL;
        OK(f, store_put(f->store, (enum kind)kind, &row, &f->err));
        for (int other = 0; other < KIND_CLOCK; other++) {
            assert_int_equal(get(f, (enum kind)other, row.id, &back), other == kind);
            examined++;
        }
    }
    assert_int_equal(examined, KIND_CLOCK * KIND_CLOCK);
}

static void empty_bytes_and_absent_texts_stay_what_they_are(void **state)
{
    struct fixture *f = *state;
    struct row row = {.id = "i-1", .revision = 1}, back;

    OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    assert_int_equal(get(f, KIND_INSTANCE, "i-1", &back), 1);
    assert_null(back.name);
    assert_null(back.columns[0]);
    assert_int_equal(back.record.length, 0);
    assert_int_equal(back.document.length, 0);
    assert_int_equal(back.transition_ns, 0);
}

static void a_taken_id_is_refused_and_nothing_changes(void **state)
{
    struct fixture *f = *state;
    struct row row = make_row(f, 1), back;

    put_instance(f, 1);
    row.revision = 99;
    row.document = text_bytes("other");
    FAILS(f, ERROR_EXISTS, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    assert_int_equal(row.seq, 0);
    get(f, KIND_INSTANCE, "i-1", &back);
    assert_bytes(back.document, "{\"n\":1}");
}

static void an_update_changes_what_differs_and_finds_it_by_the_new_values_only(void **state)
{
    struct fixture *f = *state;
    const char *small[KIND_COLUMNS_MAX] = {NULL, "small", NULL};
    const char *large[KIND_COLUMNS_MAX] = {NULL, "large", NULL};
    struct row row = make_row(f, 1), back;

    OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    row.revision = ++f->revision;
    row.name = "renamed";
    row.state = 3;
    row.columns[1] = "large";
    row.document = text_bytes("new");
    OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    assert_int_equal(get(f, KIND_INSTANCE, "i-1", &back), 1);
    assert_int_equal(back.revision, row.revision);
    assert_int_equal(back.state, 3);
    assert_bytes(back.document, "new");
    assert_int_equal(
        OK(f, store_get_by_name(f->store, KIND_INSTANCE, 1, "n1", 0, &f->arena, &back, &f->err)),
        0);
    assert_int_equal(OK(f, store_get_by_name(f->store, KIND_INSTANCE, 1, "renamed", 0, &f->arena,
                                             &back, &f->err)),
                     1);
    assert_int_equal(OK(f, store_get_by_columns(f->store, KIND_INSTANCE, 1, small, 0, &f->arena,
                                                &back, &f->err)),
                     0);
    assert_int_equal(OK(f, store_get_by_columns(f->store, KIND_INSTANCE, 1, large, 0, &f->arena,
                                                &back, &f->err)),
                     1);
}

static void an_update_can_set_a_text_to_nothing_and_back(void **state)
{
    struct fixture *f = *state;
    struct row row = make_row(f, 1), back;

    OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    row.name = NULL;
    OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    get(f, KIND_INSTANCE, "i-1", &back);
    assert_null(back.name);
    row.name = "again";
    OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    get(f, KIND_INSTANCE, "i-1", &back);
    assert_string_equal(back.name, "again");
}

static void an_update_of_a_row_that_is_gone_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct row row = make_row(f, 1);

    row.seq = 77;
    FAILS(f, ERROR_INTERNAL, store_put(f->store, KIND_INSTANCE, &row, &f->err));
}

static void a_get_sees_only_its_project_unless_any_is_asked_for(void **state)
{
    struct fixture *f = *state;
    struct row back;

    put_instance(f, 1);
    assert_int_equal(OK(f, store_get(f->store, KIND_INSTANCE, 1, "i-1", &f->arena, &back, &f->err)),
                     1);
    assert_int_equal(OK(f, store_get(f->store, KIND_INSTANCE, 2, "i-1", &f->arena, &back, &f->err)),
                     0);
    assert_int_equal(OK(f, store_get(f->store, KIND_INSTANCE, 0, "i-1", &f->arena, &back, &f->err)),
                     1);
    assert_int_equal(OK(f, store_get(f->store, KIND_INSTANCE, 0, "i-2", &f->arena, &back, &f->err)),
                     0);
}

static void a_name_is_found_past_rows_in_states_that_do_not_hold_it(void **state)
{
    struct fixture *f = *state;
    struct row dead = make_row(f, 1), live = make_row(f, 2), back;

    dead.name = live.name = "same";
    dead.state = 6;
    OK(f, store_put(f->store, KIND_INSTANCE, &dead, &f->err));
    assert_int_equal(OK(f, store_get_by_name(f->store, KIND_INSTANCE, 1, "same", 1U << 6, &f->arena,
                                             &back, &f->err)),
                     0);
    OK(f, store_put(f->store, KIND_INSTANCE, &live, &f->err));
    assert_int_equal(OK(f, store_get_by_name(f->store, KIND_INSTANCE, 1, "same", 1U << 6, &f->arena,
                                             &back, &f->err)),
                     1);
    assert_string_equal(back.id, "i-2");
    assert_int_equal(
        OK(f, store_get_by_name(f->store, KIND_INSTANCE, 2, "same", 0, &f->arena, &back, &f->err)),
        0);
    assert_int_equal(
        OK(f, store_get_by_name(f->store, KIND_INSTANCE, 0, "same", 0, &f->arena, &back, &f->err)),
        1);
    assert_string_equal(back.id, "i-1");
}

static void assert_named(struct fixture *f, int64_t project, const char *name, const char *id)
{
    struct row back;
    int found = OK(f, store_get_by_name(f->store, KIND_INSTANCE, project, name, 1U << 6, &f->arena,
                                        &back, &f->err));

    assert_int_equal(found, id != NULL);
    if (id)
        assert_string_equal(back.id, id);
}

static void a_name_that_is_an_id_is_found_whose_ever_it_is(void **state)
{
    struct fixture *f = *state;
    struct row own = make_row(f, 1), other = make_row(f, 2);

    own.name = own.id;
    OK(f, store_put(f->store, KIND_INSTANCE, &own, &f->err));
    assert_named(f, 1, "i-1", "i-1");
    assert_named(f, 0, "i-1", "i-1");
    assert_named(f, 2, "i-1", NULL);
    other.name = "i-1";
    OK(f, store_put(f->store, KIND_INSTANCE, &other, &f->err));
    assert_named(f, 1, "i-1", "i-1"); // the first of them
    own.name = "web";
    OK(f, store_put(f->store, KIND_INSTANCE, &own, &f->err));
    assert_named(f, 1, "i-1", "i-2");
    assert_named(f, 1, "web", "i-1");
    own.name = own.id;
    other.name = "i-3";
    OK(f, store_put(f->store, KIND_INSTANCE, &own, &f->err));
    OK(f, store_put(f->store, KIND_INSTANCE, &other, &f->err));
    assert_named(f, 1, "web", NULL);
    assert_named(f, 1, "i-1", "i-1");
    assert_named(f, 1, "i-3", "i-2");
    own.state = 6;
    OK(f, store_put(f->store, KIND_INSTANCE, &own, &f->err));
    assert_named(f, 1, "i-1", NULL);
}

static void columns_find_the_first_row_that_has_them_all(void **state)
{
    struct fixture *f = *state;
    const char *wanted[KIND_COLUMNS_MAX] = {"net", "10.0.2.0/24"};
    struct row back;

    for (int n = 1; n <= 3; n++) {
        struct row row = make_row(f, n);
        row.columns[0] = "net";
        row.columns[1] = arena_printf(&f->arena, "10.0.%d.0/24", n);
        row.columns[2] = NULL;
        OK(f, store_put(f->store, KIND_ROUTE, &row, &f->err));
    }
    assert_int_equal(
        OK(f, store_get_by_columns(f->store, KIND_ROUTE, 1, wanted, 0, &f->arena, &back, &f->err)),
        1);
    assert_string_equal(back.id, "i-2");
    assert_int_equal(OK(f, store_get_by_columns(f->store, KIND_ROUTE, 1, wanted, 1U << 1, &f->arena,
                                                &back, &f->err)),
                     0);
    wanted[0] = "other";
    assert_int_equal(
        OK(f, store_get_by_columns(f->store, KIND_ROUTE, 1, wanted, 0, &f->arena, &back, &f->err)),
        0);
}

// --- order ---

struct seen {
    int64_t last;
    int count;
    int stop_after;
};

static int see(void *context, const struct row *row, struct error *err)
{
    struct seen *seen = context;

    assert_true(row->seq > seen->last);
    seen->last = row->seq;
    if (++seen->count == seen->stop_after)
        return error_set(err, ERROR_STATE, NULL, "enough");
    return 0;
}

static void seqs_follow_the_order_of_creation_and_are_never_used_again(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {0};
    int64_t first = put_instance(f, 1), second = put_instance(f, 2), third;

    assert_true(second > first);
    OK(f, store_delete(f->store, KIND_INSTANCE, second, &f->err));
    third = put_instance(f, 3);
    assert_true(third > second);
    OK(f, store_each(f->store, KIND_INSTANCE, 0, see, &seen, &f->err));
    assert_int_equal(seen.count, 2);
}

static void each_visits_one_project_or_all_and_stops_when_told(void **state)
{
    struct fixture *f = *state;
    struct seen one = {0}, all = {0}, stopped = {.stop_after = 2};

    for (int n = 0; n < 6; n++) {
        struct row row = make_row(f, n);
        row.project = 1 + n % 2;
        OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    }
    OK(f, store_each(f->store, KIND_INSTANCE, 2, see, &one, &f->err));
    OK(f, store_each(f->store, KIND_INSTANCE, 0, see, &all, &f->err));
    assert_int_equal(one.count, 3);
    assert_int_equal(all.count, 6);
    FAILS(f, ERROR_STATE, store_each(f->store, KIND_INSTANCE, 0, see, &stopped, &f->err));
    assert_int_equal(stopped.count, 2);
}

static void count_counts_one_project_or_all(void **state)
{
    struct fixture *f = *state;
    int64_t count = -1;

    put_instance(f, 1);
    put_instance(f, 2);
    OK(f, store_count(f->store, KIND_INSTANCE, 1, &count, &f->err));
    assert_int_equal(count, 2);
    OK(f, store_count(f->store, KIND_INSTANCE, 0, &count, &f->err));
    assert_int_equal(count, 2);
    OK(f, store_count(f->store, KIND_INSTANCE, 3, &count, &f->err));
    assert_int_equal(count, 0);
}

// --- deadlines ---

static struct row put_due(struct fixture *f, enum kind kind, int n, int64_t transition_ns)
{
    struct row row = make_row(f, n);

    if (kind != KIND_INSTANCE)
        memset(row.columns, 0, sizeof(row.columns));
    row.transition_ns = transition_ns;
    OK(f, store_put(f->store, kind, &row, &f->err));
    return row;
}

static void assert_next_due(struct fixture *f, int64_t up_to, enum kind kind, const char *id)
{
    enum kind found_kind;
    struct row row;
    int found = OK(f, store_next_due(f->store, up_to, &f->arena, &found_kind, &row, &f->err));

    assert_int_equal(found, id != NULL);
    if (id) {
        assert_int_equal(found_kind, kind);
        assert_string_equal(row.id, id);
    }
}

static void assert_next_transition(struct fixture *f, int64_t expected)
{
    int64_t ns = -1;

    OK(f, store_next_transition(f->store, &ns, &f->err));
    assert_int_equal(ns, expected);
}

static void what_is_due_comes_by_time_then_revision_over_all_kinds(void **state)
{
    struct fixture *f = *state;
    struct row late, first, second;

    assert_next_due(f, INT64_MAX, 0, NULL);
    assert_next_transition(f, 0);
    late = put_due(f, KIND_INSTANCE, 1, 300);
    first = put_due(f, KIND_LOAD_BALANCER, 2, 100);
    second = put_due(f, KIND_INSTANCE, 3, 100);
    assert_next_transition(f, 100);
    assert_next_due(f, 99, 0, NULL);
    assert_next_due(f, 100, KIND_LOAD_BALANCER, first.id);
    first.transition_ns = 0;
    OK(f, store_put(f->store, KIND_LOAD_BALANCER, &first, &f->err));
    assert_next_due(f, 100, KIND_INSTANCE, second.id);
    OK(f, store_delete(f->store, KIND_INSTANCE, second.seq, &f->err));
    assert_next_due(f, 299, 0, NULL);
    assert_next_due(f, 300, KIND_INSTANCE, late.id);
    assert_next_transition(f, 300);
}

static void a_deadline_comes_back_when_its_removal_is_rolled_back(void **state)
{
    struct fixture *f = *state;
    struct row row = put_due(f, KIND_ROUTE, 1, 100);

    OK(f, store_begin(f->store, &f->err));
    OK(f, store_savepoint(f->store, &f->err));
    OK(f, store_delete(f->store, KIND_ROUTE, row.seq, &f->err));
    assert_next_transition(f, 0);
    store_savepoint_rollback(f->store);
    assert_next_transition(f, 100);
    OK(f, store_delete(f->store, KIND_ROUTE, row.seq, &f->err));
    assert_next_due(f, INT64_MAX, 0, NULL);
    store_rollback(f->store);
    assert_next_due(f, 100, KIND_ROUTE, row.id);
}

// --- transactions ---

static void a_savepoint_undoes_its_own_changes_alone(void **state)
{
    struct fixture *f = *state;
    struct row back;

    OK(f, store_begin(f->store, &f->err));
    OK(f, store_savepoint(f->store, &f->err));
    put_instance(f, 1);
    OK(f, store_savepoint_release(f->store, &f->err));
    OK(f, store_savepoint(f->store, &f->err));
    put_instance(f, 2);
    store_savepoint_rollback(f->store);
    OK(f, store_savepoint(f->store, &f->err));
    put_instance(f, 3);
    OK(f, store_savepoint_release(f->store, &f->err));
    OK(f, store_commit(f->store, &f->err));
    reopen(f);
    assert_int_equal(get(f, KIND_INSTANCE, "i-1", &back), 1);
    assert_int_equal(get(f, KIND_INSTANCE, "i-2", &back), 0);
    assert_int_equal(get(f, KIND_INSTANCE, "i-3", &back), 1);
}

static void a_rollback_undoes_everything_and_the_next_transaction_works(void **state)
{
    struct fixture *f = *state;
    struct row back;

    OK(f, store_begin(f->store, &f->err));
    put_instance(f, 1);
    store_rollback(f->store);
    store_rollback(f->store); // once more does no harm
    OK(f, store_begin(f->store, &f->err));
    put_instance(f, 2);
    OK(f, store_commit(f->store, &f->err));
    assert_int_equal(get(f, KIND_INSTANCE, "i-1", &back), 0);
    assert_int_equal(get(f, KIND_INSTANCE, "i-2", &back), 1);
}

static void a_refused_row_leaves_the_rest_of_the_transaction_alone(void **state)
{
    struct fixture *f = *state;
    struct row twice = make_row(f, 1), back;

    OK(f, store_begin(f->store, &f->err));
    put_instance(f, 1);
    twice.revision = 50;
    FAILS(f, ERROR_EXISTS, store_put(f->store, KIND_INSTANCE, &twice, &f->err));
    put_instance(f, 2);
    OK(f, store_commit(f->store, &f->err));
    assert_int_equal(get(f, KIND_INSTANCE, "i-2", &back), 1);
}

static void a_transaction_cannot_begin_within_another(void **state)
{
    struct fixture *f = *state;
    struct row back;

    OK(f, store_begin(f->store, &f->err));
    put_instance(f, 1);
    FAILS(f, ERROR_INTERNAL, store_begin(f->store, &f->err));
    OK(f, store_commit(f->store, &f->err));
    assert_int_equal(get(f, KIND_INSTANCE, "i-1", &back), 1);
}

// --- kinds ---

static void kind_names_parse_back_and_others_are_refused(void **state)
{
    struct fixture *f = *state;
    enum kind kind = KIND_COUNT;

    for (int i = 0; i < KIND_COUNT; i++) {
        OK(f, kind_parse(kind_name((enum kind)i), &kind, &f->err));
        assert_int_equal(kind, i);
    }
    FAILS(f, ERROR_INVALID, kind_parse("volume", &kind, &f->err));
    assert_string_equal(f->err.field, "kind");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_reads_back_as_it_was_put),
        TEST(every_kind_with_a_table_stores_rows_apart_from_the_others),
        TEST(empty_bytes_and_absent_texts_stay_what_they_are),
        TEST(a_taken_id_is_refused_and_nothing_changes),
        TEST(an_update_changes_what_differs_and_finds_it_by_the_new_values_only),
        TEST(an_update_can_set_a_text_to_nothing_and_back),
        TEST(an_update_of_a_row_that_is_gone_is_an_error),
        TEST(a_get_sees_only_its_project_unless_any_is_asked_for),
        TEST(a_name_is_found_past_rows_in_states_that_do_not_hold_it),
        TEST(a_name_that_is_an_id_is_found_whose_ever_it_is),
        TEST(columns_find_the_first_row_that_has_them_all),
        TEST(seqs_follow_the_order_of_creation_and_are_never_used_again),
        TEST(each_visits_one_project_or_all_and_stops_when_told),
        TEST(count_counts_one_project_or_all),
        TEST(what_is_due_comes_by_time_then_revision_over_all_kinds),
        TEST(a_deadline_comes_back_when_its_removal_is_rolled_back),
        TEST(a_savepoint_undoes_its_own_changes_alone),
        TEST(a_rollback_undoes_everything_and_the_next_transaction_works),
        TEST(a_refused_row_leaves_the_rest_of_the_transaction_alone),
        TEST(a_transaction_cannot_begin_within_another),
        TEST(kind_names_parse_back_and_others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
