// Long polls of the metadata service: the part that knows no HTTP library. Whoever waits is a
// parked connection, woken by news of its instance or at its deadline.
#ifndef API_METADATA_WAIT_H
#define API_METADATA_WAIT_H

#include "api/metadata.h"

struct metadata_waits; // opaque: all of them

struct metadata_waiter { // part of whatever waits; zeroed
    const struct metadata_waiting *waiting;
    void *context;
    bool parked;
    struct metadata_waiter *next, *previous;
};

// `park` and `wake` are called with a lock held and must not call back.
int metadata_waits_new(struct cloud *cloud, void (*park)(void *context),
                       void (*wake)(void *context), struct metadata_waits **out, struct error *err);
// Wakes all; nobody is parked from now on. Then free, when nobody waits any more. NULL allowed.
void metadata_waits_stop(struct metadata_waits *all);
void metadata_waits_free(struct metadata_waits *all);

// Parks it and returns true; false: there is news since waiting->revision, so look again, or the
// service is stopping (metadata_waits_stopping), so answer as it is.
bool metadata_wait_park(struct metadata_waits *all, struct metadata_waiter *w);
bool metadata_waits_stopping(struct metadata_waits *all);
void metadata_wait_leave(struct metadata_waits *all, struct metadata_waiter *w); // if parked

#endif
