// Following the event stream, through cut connections.
#ifndef CLI_EVENTS_H
#define CLI_EVENTS_H

#include "cli/http.h"

#include <jansson.h>
#include <stdint.h>

// Calls `on_event` with each event until it returns false. `since` < 0: from now on. `kind` (API
// name) may be NULL. Reconnects where it was when the stream is cut; fails when it cannot, or at
// `deadline_ns` (monotonic; INT64_MAX: none) with EXIT_TIMEOUT.
typedef bool events_sink(void *user, const json_t *event);
int events_follow(struct http *h, int64_t since, const char *kind, int64_t deadline_ns,
                  events_sink *on_event, void *user, struct failure *f);

// The monotonic deadline of a verb whose --timeout is `timeout_ns` (0: none).
int64_t events_deadline(int64_t timeout_ns);

#endif
