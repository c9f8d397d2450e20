#include "tests/unit/store_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>

// The revision of the instance, as a reader of the pool sees it; 0: it is not there.
static int64_t seen_by(struct reader *reader, const char *id)
{
    struct buffer document = {0};
    struct error err = {0};
    int64_t revision = 0;

    check_ok(reader_document(reader, KIND_INSTANCE, 0, id, &document, &revision, &err), &err,
             "reader_document", __FILE__, __LINE__);
    buffer_fini(&document);
    return revision;
}

static struct reader *take(struct fixture *f)
{
    struct error err = {0};
    struct reader *reader;

    check_ok(store_reader_take(f->store, &reader, &err), &err, "take", __FILE__, __LINE__);
    return reader;
}

static int64_t look(struct fixture *f, const char *id)
{
    struct reader *reader = take(f);
    int64_t revision = seen_by(reader, id);

    store_reader_give(f->store, reader);
    return revision;
}

// Creates i-1 or writes it again.
static void commit_row(struct fixture *f, struct row *row)
{
    row->revision = ++f->revision;
    OK(f, store_begin(f->store, &f->err));
    OK(f, store_put(f->store, KIND_INSTANCE, row, &f->err));
    OK(f, store_commit(f->store, &f->err));
}

static void what_was_committed_is_seen_by_whoever_reads_next(void **state)
{
    struct fixture *f = *state;
    struct row row = make_row(f, 1);

    assert_int_equal(look(f, "i-1"), 0);
    for (int i = 0; i < 20; i++) {
        commit_row(f, &row);
        assert_int_equal(look(f, "i-1"), row.revision);
        assert_int_equal(look(f, "i-1"), row.revision);
    }
}

static void one_that_is_in_use_sees_one_state(void **state)
{
    struct fixture *f = *state;
    struct row row = make_row(f, 1);
    int64_t before;

    commit_row(f, &row);
    before = row.revision;
    struct reader *reader = take(f);
    assert_int_equal(seen_by(reader, "i-1"), before);
    commit_row(f, &row);
    assert_int_equal(seen_by(reader, "i-1"), before);
    assert_int_equal(look(f, "i-1"), row.revision);
    store_reader_give(f->store, reader);
    for (int i = 0; i < 3; i++) // whichever of the two comes
        assert_int_equal(look(f, "i-1"), row.revision);
}

static void what_was_rolled_back_is_not_seen(void **state)
{
    struct fixture *f = *state;
    struct row row = make_row(f, 1);

    commit_row(f, &row);
    int64_t before = row.revision;
    OK(f, store_begin(f->store, &f->err));
    row.revision = ++f->revision;
    OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    assert_int_equal(look(f, "i-1"), before);
    store_rollback(f->store);
    assert_int_equal(look(f, "i-1"), before);
}

static off_t log_size(const struct fixture *f)
{
    struct stat status;
    char path[128];

    snprintf(path, sizeof(path), "%s-wal", f->path);
    return stat(path, &status) == 0 ? status.st_size : 0;
}

// An idle reader with a snapshot would keep the write-ahead log from starting over.
static void idle_readers_do_not_let_the_log_grow(void **state)
{
    struct fixture *f = *state;
    struct reader *readers[4];
    struct row row = make_row(f, 1);
    off_t largest = 0;

    row.document = (struct bytes){arena_alloc(&f->arena, 200000), 200000}; // 50 pages
    for (int i = 0; i < 400; i++) {
        for (int k = 0; k < 4; k++)
            readers[k] = take(f);
        for (int k = 0; k < 4; k++) {
            seen_by(readers[k], "i-1");
            store_reader_give(f->store, readers[k]);
        }
        commit_row(f, &row);
        store_tidy(f->store);
        if (log_size(f) > largest)
            largest = log_size(f);
    }
    assert_true(largest < (off_t)16 << 20); // 2,000 frames and a batch; 80 MB were written
}

struct race {
    struct fixture *f;
    atomic_llong told; // the newest revision that anybody has been told of
    atomic_bool over;
    atomic_llong older; // reads that saw less than had been told before they began
    atomic_llong reads;
};

static void raise_to(atomic_llong *to, int64_t value)
{
    long long known = atomic_load(to);

    while (known < value && !atomic_compare_exchange_weak(to, &known, value))
        ;
}

static void *read_and_tell(void *context)
{
    struct race *race = context;

    while (!atomic_load(&race->over)) {
        int64_t told = atomic_load(&race->told), seen = look(race->f, "i-1");
        atomic_fetch_add(&race->older, seen < told);
        atomic_fetch_add(&race->reads, 1);
        raise_to(&race->told, seen);
    }
    return NULL;
}

static void no_reader_sees_less_than_another_has_told(void **state)
{
    struct fixture *f = *state;
    struct row row = make_row(f, 1);
    struct race race = {.f = f};
    pthread_t threads[4];

    commit_row(f, &row);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_tell, &race), 0);
    for (int i = 0; i < 3000; i++) {
        commit_row(f, &row);
        raise_to(&race.told, row.revision);
    }
    while (atomic_load(&race.reads) < 1000)
        sched_yield();
    atomic_store(&race.over, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&race.older), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_committed_is_seen_by_whoever_reads_next),
        TEST(one_that_is_in_use_sees_one_state),
        TEST(what_was_rolled_back_is_not_seen),
        TEST(idle_readers_do_not_let_the_log_grow),
        TEST(no_reader_sees_less_than_another_has_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
