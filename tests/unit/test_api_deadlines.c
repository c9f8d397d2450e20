// The queue of waits: each ends once, by its time, its client, a cancellation or the stop.
#include "api/deadlines.h"
#include "tests/unit/sim_fixture.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_NS (10 * NS_PER_S)

struct waiting {
    struct deadline deadline; // first
    atomic_int woken;
    atomic_int why;
};

static atomic_int order;

static void wake(struct deadline *d, enum deadline_end why)
{
    struct waiting *w = (struct waiting *)(void *)d;

    atomic_store(&w->why, (int)why);
    atomic_store(&w->woken, atomic_fetch_add(&order, 1) + 1);
}

static void begin(struct waiting *w, int64_t in_ns)
{
    memset(w, 0, sizeof(*w));
    w->deadline =
        (struct deadline){.wake = wake, .fd = -1, .monotonic_ns = clock_monotonic() + in_ns};
}

static void await(struct waiting *w, enum deadline_end why)
{
    int64_t until = clock_monotonic() + WAIT_NS;

    while (atomic_load(&w->woken) == 0)
        assert_true(clock_monotonic() < until);
    assert_int_equal(atomic_load(&w->why), why);
}

static struct deadlines *open_queue(struct sim *s)
{
    struct deadlines *q = NULL;

    assert_int_equal(deadlines_new(s->cloud, &q, NULL), 0);
    atomic_store(&order, 0);
    return q;
}

static void close_queue(struct deadlines *q)
{
    deadlines_stop(q);
    deadlines_free(q);
}

// False: the machine was so slow that the first was due before all were there.
static bool run_fifty(struct deadlines *q, int64_t from)
{
    struct waiting all[50];
    bool in_time;

    atomic_store(&order, 0);
    for (int i = 0; i < 50; i++) {
        begin(&all[i], 0);
        all[i].deadline.monotonic_ns = from + (i * 37) % 50 * NS_PER_MS;
        deadlines_add(q, &all[i].deadline);
    }
    in_time = clock_monotonic() < from;
    for (int i = 0; i < 50; i++)
        await(&all[i], DEADLINE_DUE);
    for (int i = 0; in_time && i < 50; i++)
        assert_int_equal(atomic_load(&all[i].woken), (i * 37) % 50 + 1);
    return in_time;
}

static void waits_end_in_the_order_of_their_times(void **state)
{
    struct deadlines *q = open_queue(*state);

    while (!run_fifty(q, clock_monotonic() + 50 * NS_PER_MS))
        ;
    assert_int_equal(deadlines_count(q), 0);
    close_queue(q);
}

static void a_cancelled_wait_is_not_woken(void **state)
{
    struct deadlines *q = open_queue(*state);
    struct waiting late, soon;

    begin(&late, WAIT_NS * 100);
    begin(&soon, NS_PER_MS);
    deadlines_add(q, &late.deadline);
    deadlines_add(q, &soon.deadline);
    await(&soon, DEADLINE_DUE);
    assert_false(deadlines_cancel(q, &soon.deadline));
    assert_true(deadlines_cancel(q, &late.deadline));
    close_queue(q);
    assert_int_equal(atomic_load(&late.woken), 0);
}

static void a_wait_ends_when_the_other_side_closes(void **state)
{
    struct deadlines *q = open_queue(*state);
    struct waiting w;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    begin(&w, WAIT_NS * 100);
    w.deadline.fd = pair[0];
    deadlines_add(q, &w.deadline);
    close(pair[1]);
    await(&w, DEADLINE_GONE);
    close(pair[0]);
    close_queue(q);
}

static void a_wait_in_cloud_time_follows_the_clock(void **state)
{
    struct sim *s = *state;
    struct deadlines *q = open_queue(s);
    struct waiting w;

    begin(&w, 0);
    w.deadline.monotonic_ns = 0;
    w.deadline.cloud_ns = cloud_now(s->cloud) + 3600 * NS_PER_S;
    deadlines_add(q, &w.deadline);
    advance(s, 3599 * NS_PER_S);
    assert_int_equal(atomic_load(&w.woken), 0);
    advance(s, NS_PER_S);
    await(&w, DEADLINE_DUE);
    close_queue(q);
}

static void the_stop_wakes_all_and_whoever_comes_later(void **state)
{
    struct deadlines *q = open_queue(*state);
    struct waiting all[3], late;

    for (int i = 0; i < 3; i++) {
        begin(&all[i], WAIT_NS * 100);
        deadlines_add(q, &all[i].deadline);
    }
    deadlines_stop(q);
    begin(&late, 0);
    deadlines_add(q, &late.deadline);
    for (int i = 0; i < 3; i++)
        await(&all[i], DEADLINE_STOPPED);
    await(&late, DEADLINE_STOPPED);
    deadlines_free(q);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sim_setup, sim_teardown)
    const struct CMUnitTest tests[] = {
        TEST(waits_end_in_the_order_of_their_times),
        TEST(a_cancelled_wait_is_not_woken),
        TEST(a_wait_ends_when_the_other_side_closes),
        TEST(a_wait_in_cloud_time_follows_the_clock),
        TEST(the_stop_wakes_all_and_whoever_comes_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
