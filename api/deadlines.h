// Waits of suspended connections: one small thread with a heap of deadlines. Nobody else's thread
// waits, however many do.
//
// A wait ends once: when its time has come, when the client has gone (fd), when the queue stops, or
// when it is cancelled. Times are monotonic, or cloud time (then the wait follows whatever is done
// to the clock).
#ifndef API_DEADLINES_H
#define API_DEADLINES_H

#include "sim/cloud.h"

#include <stdbool.h>
#include <stdint.h>

struct deadlines; // opaque

enum deadline_end { DEADLINE_DUE, DEADLINE_GONE, DEADLINE_STOPPED };

struct deadline { // part of whoever waits; must stay where it is until woken or cancelled
    // Called once, on the queue's thread (or in deadlines_add when it has stopped), under a lock:
    // must be quick and must not call back. The deadline may be gone once it has returned.
    void (*wake)(struct deadline *d, enum deadline_end why);
    int64_t monotonic_ns; // 0: as cloud_ns says
    int64_t cloud_ns;
    int fd; // a socket: the wait ends when the other side closes; -1: none

    int64_t at_ns; // the queue's own, from here on
    size_t slot;
    uint32_t ticket;
};

int deadlines_new(struct cloud *cloud, struct deadlines **out, struct error *err);
// Wakes all that wait, and whoever comes later at once.
void deadlines_stop(struct deadlines *q);
void deadlines_free(struct deadlines *q); // after deadlines_stop; NULL allowed
void deadlines_add(struct deadlines *q, struct deadline *d);
// True: it will not be woken. False: it has been.
bool deadlines_cancel(struct deadlines *q, struct deadline *d);
size_t deadlines_count(struct deadlines *q);

#endif
