// What a server that stops waits for: all that is suspended, and answers for as long as it is told.
#include "api/flight.h"
#include "base/timefmt.h"
#include "tests/unit/base_unit.h"

#include <pthread.h>
#include <sched.h>

struct other { // a thread that ends something while the server waits
    struct flight *flight;
    void (*end)(struct flight *f);
    atomic_bool ended;
};

// Ends it when the server has begun to stop, and not at once.
static void *end_later(void *context)
{
    struct other *o = context;

    while (!flight_stopping(o->flight))
        sched_yield();
    for (int i = 0; i < 1000; i++)
        sched_yield();
    atomic_store(&o->ended, true);
    o->end(o->flight);
    return NULL;
}

static void stop_while(struct flight *f, void (*end)(struct flight *f), int64_t patience_ns)
{
    struct other o = {f, end, false};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, end_later, &o), 0);
    flight_stop(f);
    flight_wait(f, patience_ns);
    assert_true(atomic_load(&o.ended));
    pthread_join(thread, NULL);
}

static void nothing_is_suspended_once_the_server_stops(void **state)
{
    struct flight f;

    (void)state;
    flight_init(&f);
    assert_true(flight_suspend(&f));
    flight_resumed(&f);
    assert_false(flight_stopping(&f));
    flight_stop(&f);
    assert_true(flight_stopping(&f));
    assert_false(flight_suspend(&f));
    flight_wait(&f, 0); // for nothing
    flight_fini(&f);
}

static void what_is_suspended_is_waited_for_beyond_all_patience(void **state)
{
    struct flight f;

    (void)state;
    flight_init(&f);
    assert_true(flight_suspend(&f));
    stop_while(&f, flight_resumed, 0);
    flight_fini(&f);
}

static void answers_are_waited_for(void **state)
{
    struct flight f;

    (void)state;
    flight_init(&f);
    flight_begin(&f);
    stop_while(&f, flight_end, 3600 * NS_PER_S);
    assert_int_equal(flight_under_way(&f), 0);
    flight_fini(&f);
}

static void an_answer_that_is_not_read_is_left_behind(void **state)
{
    struct flight f;

    (void)state;
    flight_init(&f);
    flight_begin(&f);
    flight_begin(&f);
    flight_end(&f);
    flight_stop(&f);
    flight_wait(&f, NS_PER_MS);
    assert_int_equal(flight_under_way(&f), 1);
    flight_end(&f);
    flight_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_suspended_once_the_server_stops),
        cmocka_unit_test(what_is_suspended_is_waited_for_beyond_all_patience),
        cmocka_unit_test(answers_are_waited_for),
        cmocka_unit_test(an_answer_that_is_not_read_is_left_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
