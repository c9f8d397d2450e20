// The requests that a server has under way, and the wait for them when it stops.
#ifndef API_FLIGHT_H
#define API_FLIGHT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct flight { // private; all functions are thread-safe
    pthread_mutex_t lock;
    pthread_cond_t idle; // nothing is under way any more, or nothing suspended
    long suspended;      // by `lock`
    atomic_long under_way;
    atomic_bool stopping;
};

void flight_init(struct flight *f);
void flight_fini(struct flight *f);

void flight_begin(struct flight *f); // a request has been read whole: it is under way
void flight_end(struct flight *f);   // it is done with
long flight_under_way(struct flight *f);

// Before a request is suspended for the writer or a thread of its own, which then ends what it does
// with flight_resumed; false: the server stops, and the request is to be refused.
bool flight_suspend(struct flight *f);
void flight_resumed(struct flight *f);

// From here on the server stops: what is to come is refused, and what takes long gives up.
void flight_stop(struct flight *f);
bool flight_stopping(struct flight *f);

// After flight_stop. What is suspended is waited for, however long: it uses what is about to be
// freed, and libmicrohttpd ends the process that stops it with a suspended connection. Then the
// answers, those included, have `patience_ns` to be sent: a client that does not read its own is
// left behind, as is one that is still sending.
void flight_wait(struct flight *f, int64_t patience_ns);

#endif
