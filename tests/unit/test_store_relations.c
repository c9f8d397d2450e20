#include "tests/unit/store_fixture.h"

// --- references ---

static void refer(struct fixture *f, enum kind kind, int64_t seq, const char *const *targets,
                  size_t count)
{
    OK(f, store_references_set(f->store, kind, seq, targets, count, &f->err));
}

// The ids of the pools that refer to `target`, joined by spaces.
static const char *referrers(struct fixture *f, const char *target)
{
    struct owner *owners;
    size_t count;
    char *text = arena_strdup(&f->arena, "");

    OK(f, store_referrers(f->store, target, KIND_TARGET_POOL, &f->arena, &owners, &count, &f->err));
    for (size_t i = 0; i < count; i++) {
        text = arena_printf(&f->arena, "%s%s%s", text, i ? " " : "", owners[i].id);
        assert_true(i == 0 || owners[i].seq > owners[i - 1].seq);
    }
    return text;
}

static int64_t put_pool(struct fixture *f, int n)
{
    struct row row = make_row(f, n);

    memset(row.columns, 0, sizeof(row.columns));
    OK(f, store_put(f->store, KIND_TARGET_POOL, &row, &f->err));
    return row.seq;
}

static void referrers_are_those_of_the_kind_in_order_of_creation(void **state)
{
    struct fixture *f = *state;
    int64_t one = put_pool(f, 1), two = put_pool(f, 2);
    const char *both[] = {"x", "y"};

    refer(f, KIND_TARGET_POOL, two, both, 2);
    refer(f, KIND_TARGET_POOL, one, both, 1);
    refer(f, KIND_ROUTE, one, both, 2);
    assert_string_equal(referrers(f, "x"), "i-1 i-2");
    assert_string_equal(referrers(f, "y"), "i-2");
    assert_string_equal(referrers(f, "z"), "");
}

static void setting_references_replaces_them_whatever_the_order_and_repeats(void **state)
{
    struct fixture *f = *state;
    int64_t seq = put_pool(f, 1);
    const char *before[] = {"c", "a", "b", "a"}, *after[] = {"d", "b", "b"};

    refer(f, KIND_TARGET_POOL, seq, before, 4);
    assert_string_equal(referrers(f, "a"), "i-1");
    refer(f, KIND_TARGET_POOL, seq, after, 3);
    assert_string_equal(referrers(f, "a"), "");
    assert_string_equal(referrers(f, "b"), "i-1");
    assert_string_equal(referrers(f, "c"), "");
    assert_string_equal(referrers(f, "d"), "i-1");
    refer(f, KIND_TARGET_POOL, seq, NULL, 0);
    assert_string_equal(referrers(f, "b"), "");
}

// An owner of thousands changes one: only that one is written.
static void a_change_of_one_reference_among_thousands_writes_little(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 5000 };
    static const char *targets[COUNT];
    int64_t seq = put_pool(f, 1);
    uint64_t before;

    for (int i = 0; i < COUNT; i++)
        targets[i] = arena_printf(&f->arena, "target-%d", i);
    refer(f, KIND_TARGET_POOL, seq, targets, COUNT);
    reopen(f); // the WAL is empty again
    before = store_database_bytes(f->store);
    targets[COUNT / 2] = "another";
    refer(f, KIND_TARGET_POOL, seq, targets, COUNT);
    assert_string_equal(referrers(f, "another"), "i-1");
    assert_string_equal(referrers(f, "target-2500"), "");
    assert_true(store_database_bytes(f->store) - before < 64 * 1024);
}

static void many_referrers_of_one_target_are_all_found(void **state)
{
    struct fixture *f = *state;
    const char *target[] = {"shared"};
    struct owner *owners;
    size_t count;

    for (int n = 0; n < 100; n++)
        refer(f, KIND_TARGET_POOL, put_pool(f, n), target, 1);
    OK(f,
       store_referrers(f->store, "shared", KIND_TARGET_POOL, &f->arena, &owners, &count, &f->err));
    assert_int_equal(count, 100);
    assert_string_equal(owners[99].id, "i-99");
}

// --- addresses ---

static struct ip ip_of(const char *text)
{
    struct ip ip;

    assert_int_equal(ip_parse(text, &ip, NULL), 0);
    return ip;
}

static int claim(struct fixture *f, const char *text, const char *owner)
{
    struct ip ip = ip_of(text);

    return OK(f, store_ip_claim(f->store, &ip, owner, &f->err));
}

static void an_address_is_claimed_once_until_it_is_released(void **state)
{
    struct fixture *f = *state;
    struct ip ip = ip_of("10.0.0.1");

    assert_int_equal(claim(f, "10.0.0.1", "i-1"), 1);
    assert_int_equal(claim(f, "10.0.0.1", "i-2"), 0);
    assert_int_equal(claim(f, "10.0.0.1", "i-1"), 0);
    OK(f, store_ip_release(f->store, &ip, "i-2", &f->err)); // not its own
    assert_int_equal(claim(f, "10.0.0.1", "i-2"), 0);
    OK(f, store_ip_release(f->store, &ip, "i-1", &f->err));
    assert_int_equal(claim(f, "10.0.0.1", "i-2"), 1);
}

static uint64_t taken(struct fixture *f, const char *first, uint64_t most)
{
    struct ip ip = ip_of(first);
    uint64_t count = 99;

    OK(f, store_ips_taken(f->store, &ip, most, &count, &f->err));
    return count;
}

static void addresses_that_are_taken_are_counted_to_the_first_gap(void **state)
{
    static const char *const claimed[] = {"10.0.0.254", "10.0.0.255",      "10.0.1.0",
                                          "10.0.1.2",   "255.255.255.255", "a00::fe",
                                          "fd00::ffff", "fd00::1:0"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(claimed) / sizeof(claimed[0]); i++)
        assert_int_equal(claim(f, claimed[i], "i-1"), 1);
    assert_int_equal(taken(f, "10.0.0.253", 10), 0);
    assert_int_equal(taken(f, "10.0.0.254", 10), 3); // over the end of a byte
    assert_int_equal(taken(f, "10.0.0.254", 2), 2);
    assert_int_equal(taken(f, "10.0.0.254", 0), 0);
    assert_int_equal(taken(f, "10.0.1.2", 10), 1);
    assert_int_equal(taken(f, "255.255.255.255", 10), 1); // what follows is of the other family
    assert_int_equal(taken(f, "fd00::ffff", UINT64_MAX), 2);
    assert_int_equal(taken(f, "fd00::1:1", UINT64_MAX), 0);
}

static void families_with_the_same_bytes_are_different_addresses(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(claim(f, "10.0.0.1", "i-1"), 1);
    assert_int_equal(claim(f, "a00:1::", "i-1"), 1);
    assert_int_equal(claim(f, "a00:1::1", "i-1"), 1);
    assert_int_equal(claim(f, "a00:1::", "i-2"), 0);
}

static void a_claim_goes_with_its_savepoint(void **state)
{
    struct fixture *f = *state;

    OK(f, store_begin(f->store, &f->err));
    OK(f, store_savepoint(f->store, &f->err));
    assert_int_equal(claim(f, "10.0.0.1", "i-1"), 1);
    store_savepoint_rollback(f->store);
    assert_int_equal(claim(f, "10.0.0.1", "i-2"), 1);
    OK(f, store_commit(f->store, &f->err));
}

// --- deletion ---

static size_t tagged(struct fixture *f, const char *value)
{
    struct store_tag tag = {"k", value};
    struct list_query query = {.kind = KIND_INSTANCE, .tags = &tag, .tag_count = 1, .limit = 10};
    struct buffer out;
    struct reader *reader;
    size_t count;
    int64_t next, revision;

    buffer_init(&out);
    OK(f, reader_open(f->store, &reader, &f->err));
    OK(f, reader_list(reader, &query, &out, &count, &next, &revision, &f->err));
    reader_close(reader);
    buffer_fini(&out);
    return count;
}

static void tags_are_replaced_as_a_whole(void **state)
{
    struct fixture *f = *state;
    int64_t seq = put_instance(f, 1);
    struct store_tag first[] = {{"a", "1"}, {"k", "x"}}, second[] = {{"k", "y"}};

    OK(f, store_tags_set(f->store, KIND_INSTANCE, seq, first, 2, &f->err));
    assert_int_equal(tagged(f, "x"), 1);
    OK(f, store_tags_set(f->store, KIND_INSTANCE, seq, first, 2, &f->err));
    assert_int_equal(tagged(f, "x"), 1);
    OK(f, store_tags_set(f->store, KIND_INSTANCE, seq, second, 1, &f->err));
    assert_int_equal(tagged(f, "x"), 0);
    assert_int_equal(tagged(f, "y"), 1);
    OK(f, store_tags_set(f->store, KIND_INSTANCE, seq, first + 1, 1, &f->err));
    assert_int_equal(tagged(f, "x"), 1);
    OK(f, store_tags_set(f->store, KIND_INSTANCE, seq, NULL, 0, &f->err));
    assert_int_equal(tagged(f, "x"), 0);
}

static void a_deleted_row_takes_tags_and_references_with_it(void **state)
{
    struct fixture *f = *state;
    int64_t gone = put_instance(f, 1), kept = put_instance(f, 2);
    struct store_tag tag = {"k", "x"};
    const char *target[] = {"t"};
    struct owner *owners;
    size_t count;

    for (int i = 0; i < 2; i++) {
        int64_t seq = i ? kept : gone;
        OK(f, store_tags_set(f->store, KIND_INSTANCE, seq, &tag, 1, &f->err));
        refer(f, KIND_INSTANCE, seq, target, 1);
    }
    OK(f, store_delete(f->store, KIND_INSTANCE, gone, &f->err));
    assert_int_equal(tagged(f, "x"), 1);
    OK(f, store_referrers(f->store, "t", KIND_INSTANCE, &f->arena, &owners, &count, &f->err));
    assert_int_equal(count, 1);
    assert_string_equal(owners[0].id, "i-2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(referrers_are_those_of_the_kind_in_order_of_creation),
        TEST(setting_references_replaces_them_whatever_the_order_and_repeats),
        TEST(a_change_of_one_reference_among_thousands_writes_little),
        TEST(many_referrers_of_one_target_are_all_found),
        TEST(an_address_is_claimed_once_until_it_is_released),
        TEST(addresses_that_are_taken_are_counted_to_the_first_gap),
        TEST(families_with_the_same_bytes_are_different_addresses),
        TEST(a_claim_goes_with_its_savepoint),
        TEST(tags_are_replaced_as_a_whole),
        TEST(a_deleted_row_takes_tags_and_references_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
