// Counters of the HTTP server and their Prometheus text form (0.0.4).
#ifndef API_METRICS_H
#define API_METRICS_H

#include "api/endpoint.h"
#include "base/buffer.h"
#include "sim/cloud.h"

struct metrics; // opaque; all functions are thread-safe

struct metrics *metrics_new(void); // NULL: out of memory
void metrics_free(struct metrics *m);
// An answer was given; `endpoint` NULL: none was found.
void metrics_observe(struct metrics *m, const struct endpoint *endpoint, int status, int64_t ns);
void metrics_write(struct metrics *m, const struct cloud_stats *stats, long in_flight,
                   size_t watchers, struct buffer *out);

#endif
