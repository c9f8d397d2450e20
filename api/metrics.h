// Counters of the HTTP server and their Prometheus text form (0.0.4).
#ifndef API_METRICS_H
#define API_METRICS_H

#include "api/endpoint.h"
#include "base/buffer.h"
#include "sim/cloud.h"

struct metrics; // opaque; all functions are thread-safe

struct metrics *metrics_new(void); // NULL: out of memory
void metrics_free(struct metrics *m);
void metrics_begin(struct metrics *m); // a request has been read whole: it is in flight
long metrics_end(struct metrics *m);   // it is done with; returns how many still are in flight
long metrics_in_flight(struct metrics *m);
// An answer was given; `endpoint` NULL: none was found.
void metrics_observe(struct metrics *m, const struct endpoint *endpoint, int status, int64_t ns);
void metrics_write(struct metrics *m, const struct cloud_stats *stats, size_t watchers,
                   struct buffer *out);

#endif
