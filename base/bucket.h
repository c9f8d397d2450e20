// Token buckets: `burst` operations at once, then `rate` per second. One word of state, so that any
// number of threads take from one without a lock (the generic cell rate algorithm: the state is
// the time at which the bucket will be full again).
//
// The caller says what time it is and in which clock: the same sequence of times gives the same
// answers. Whatever clock it is, it must not go back; if it does, the bucket refills late.
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BUCKET_RATE_MIN 0.001
#define BUCKET_RATE_MAX 1e6
#define BUCKET_BURST_MAX INT64_C(1000000)

struct bucket_rule {
    int64_t interval_ns; // between two tokens
    int64_t burst;       // tokens of a full bucket, at least 1
};

struct bucket { // zeroed: full
    atomic_llong full_at_ns;
};

struct bucket_view {
    int64_t remaining;      // whole tokens left
    int64_t retry_after_ns; // until one is there again; 0: now
    int64_t full_after_ns;  // until all are
};

// ERROR_INVALID with field "rate" or "burst" when out of bounds; burst 0: `rate` rounded up, at
// least 1.
int bucket_rule_make(double rate, int64_t burst, struct bucket_rule *out, struct error *err);
// Takes one token. False: there is none, nothing was taken. `out` (may be NULL): as it is then.
bool bucket_take(struct bucket *b, const struct bucket_rule *rule, int64_t now_ns,
                 struct bucket_view *out);
// As it is, without taking.
struct bucket_view bucket_look(const struct bucket *b, const struct bucket_rule *rule,
                               int64_t now_ns);

#endif
