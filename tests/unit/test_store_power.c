// What a power cut leaves: with durability `power` everything committed, with `process` a beginning
// of it, and never a file that is not whole. Of what was not synced some is lost and some torn.
#include "tests/simulation/disk.h"
#include "tests/unit/store_fixture.h"

#include "base/random.h"

#include <errno.h>
#include <inttypes.h>

#define CUTS 40

static void open_with(struct fixture *f, enum durability durability)
{
    struct store_options options = {.path = f->path, .durability = durability};

    f->err = (struct error){0};
    OK(f, store_open(&options, &f->store, &f->err));
}

// Commits one row and its event; false once the power is gone.
static bool commit_one(struct fixture *f, int n)
{
    struct row row = make_row(f, n);
    struct event event = {
        .revision = row.revision, .kind = KIND_INSTANCE, .id = row.id, .document = row.document};
    int result;

    f->err = (struct error){0};
    result = store_begin(f->store, &f->err);
    if (result == 0)
        result = store_put(f->store, KIND_INSTANCE, &row, &f->err);
    if (result == 0)
        result = store_event_append(f->store, &event, &f->err);
    if (result == 0)
        return store_commit(f->store, &f->err) == 0;
    store_rollback(f->store);
    return false;
}

static int nothing(void *context, const struct event *event)
{
    (void)context;
    (void)event;
    return 0;
}

static int64_t newest(struct fixture *f)
{
    struct event_query query = {.since = INT64_MAX - 1, .kind = -1, .limit = 1};
    struct reader *reader;
    int64_t revision = -1;

    OK(f, reader_open(f->store, &reader, &f->err));
    OK(f, reader_events(reader, &query, nothing, NULL, &revision, &f->err));
    reader_close(reader);
    return revision;
}

// A life of many commits that ends with a power cut; returns how many were acknowledged, *out_left
// how many are left.
static int64_t live(struct fixture *f, enum durability durability, uint64_t seed, int64_t *out_left)
{
    int64_t acknowledged = 0, rows = -1;

    disk_restart(false, 0);
    unlink(f->path);
    open_with(f, durability);
    f->revision = 0;
    if (durability == DURABILITY_PROCESS) { // whose new file is not worth a sync until it is used
        store_close(f->store);
        open_with(f, durability);
    }
    disk_order(DISK_STOPS, (int64_t)(random_u64(seed, 1, 0) % 6000), EIO);
    while (acknowledged < 3000 && commit_one(f, (int)acknowledged)) {
        acknowledged++;
        if (random_u64(seed, acknowledged, 1) % 8 == 0)
            store_tidy(f->store);
    }
    if (!disk_is_stopped()) { // it outlived that: now
        disk_order(DISK_STOPS, 0, EIO);
        commit_one(f, (int)acknowledged);
    }
    store_close(f->store);
    f->store = NULL;
    disk_restart(true, seed);
    open_with(f, durability); // which looks whether the file is whole
    *out_left = newest(f);
    OK(f, store_count(f->store, KIND_INSTANCE, 0, &rows, &f->err));
    assert_int_equal(rows, *out_left);
    store_close(f->store);
    f->store = NULL;
    arena_clear(&f->arena);
    return acknowledged;
}

static void with_durability_power_nothing_acknowledged_is_lost(void **state)
{
    int64_t all = 0;

    for (uint64_t seed = 0; seed < CUTS; seed++) {
        int64_t left, acknowledged = live(*state, DURABILITY_POWER, seed, &left);

        // one more may be there whose answer was lost
        if (left != acknowledged && left != acknowledged + 1)
            fail_msg("cut %" PRIu64 ": %" PRId64 " acknowledged, %" PRId64 " left", seed,
                     acknowledged, left);
        all += acknowledged;
    }
    print_message("%" PRId64 " commits, %d power cuts, %" PRId64 " writes lost, %" PRId64 " torn\n",
                  all, CUTS, disk_figures().lost, disk_figures().torn);
    assert_true(disk_figures().lost > 0 && disk_figures().torn > 0);
}

static void with_durability_process_a_beginning_of_what_was_acknowledged_is_left(void **state)
{
    int64_t all = 0, lost = 0;

    for (uint64_t seed = 0; seed < CUTS; seed++) {
        int64_t left, acknowledged = live(*state, DURABILITY_PROCESS, 1000 + seed, &left);

        assert_true(left >= 0 && left <= acknowledged + 1);
        all += acknowledged;
        lost += acknowledged > left ? acknowledged - left : 0;
    }
    print_message("%" PRId64 " commits, %d power cuts, %" PRId64 " commits lost\n", all, CUTS,
                  lost);
    assert_true(lost > 0); // else the cuts cut nothing
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_closed, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(with_durability_power_nothing_acknowledged_is_lost),
        TEST(with_durability_process_a_beginning_of_what_was_acknowledged_is_left),
    };

    disk_install(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
