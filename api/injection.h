// What fault rules do to a request at the front door, without HTTP's library: asked once, when the
// request is known and nothing has been done about it yet.
#ifndef API_INJECTION_H
#define API_INJECTION_H

#include "api/request.h"
#include "sim/fault.h"

#define INJECTED_HANG_NS (INT64_C(300) * 1000000000) // when the rule does not say

struct injection {
    struct fault_verdict verdict;
    int64_t wait_ns, cloud_wait_ns; // before anything else: real time, cloud time
    const struct fault *end;        // how it ends; NULL: as usual
    uint64_t seed;                  // of draws about its end
};

// Fills r->injection (NULL when nothing fires) and the rate fields of the reply. Faults happen to
// what a tenant calls: never to /sim/v1 nor to the server's own endpoints.
void injection_ask(struct request *r);
// Whether the request ends by this effect.
bool injection_ends(const struct request *r, enum fault_effect_type type);
// Of a reply body of `length` bytes, how many are sent (truncate).
size_t injection_cut(const struct request *r, size_t length);
void injection_fini(struct request *r);
// The reply of an effect that answers: error, throttle, half_applied with an error.
void injection_refuse(struct request *r);

#endif
