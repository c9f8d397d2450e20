// The Docker Engine's HTTP API over its unix socket (Podman's compatible one too). Thread-safe.
//
// The version is negotiated at the first call: the Engine's own, at most the newest that was read
// for this code, at least the oldest that the Engine takes.
#ifndef BACKEND_ENGINE_H
#define BACKEND_ENGINE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct engine; // opaque

// `host`: unix:///path or /path. NULL: out of memory or not such a thing (then with an error).
struct engine *engine_new(const char *host, struct error *err);
void engine_free(struct engine *e);   // NULL allowed
void engine_cancel(struct engine *e); // calls that run, and later ones, fail soon
const char *engine_socket(const struct engine *e);

struct engine_request {
    const char *method;
    const char *path;   // behind the version: "/containers/json?all=1", encoded
    const json_t *body; // NULL: none
    long timeout_ms;    // 0: 20 s
    FILE *to;           // takes the answer's body, whatever the status; NULL: `out`
    FILE *from;         // of a PUT: a file that is its body
};

// The HTTP status (200 to 499) and the body, parsed (*out to be decref'ed; NULL: none or not JSON;
// `out` may be NULL). Negative: the Engine does not answer (ERROR_UNAVAILABLE), or with 5xx.
int engine_call(struct engine *e, const struct engine_request *request, json_t **out,
                struct error *err);
// As above, the body as it comes.
int engine_call_raw(struct engine *e, const struct engine_request *request, struct buffer *out,
                    struct error *err);
// What the Engine says in the body of a refusal.
const char *engine_message(const json_t *body);

// Runs a command in a container and waits: 0 and its exit code, and both of its outputs.
int engine_exec(struct engine *e, const char *container, const char *const *command,
                long timeout_ms, struct buffer *out, int *out_code, struct error *err);

// --- the stream of events ---
struct engine_stream; // opaque; used by one thread, but for engine_stream_wake
// Calls `each` on every event from engine_stream_wait.
struct engine_stream *engine_stream_new(struct engine *e,
                                        void (*each)(void *context, const json_t *event),
                                        void *context);
void engine_stream_free(struct engine_stream *s);                   // NULL allowed
int engine_stream_open(struct engine_stream *s, struct error *err); // waits for the first answer
bool engine_stream_is_open(const struct engine_stream *s);
// Waits for events, for engine_stream_wake, or for so long.
void engine_stream_wait(struct engine_stream *s, int timeout_ms);
void engine_stream_wake(struct engine_stream *s); // from any thread

void url_escape(struct buffer *out, const char *text);

#endif
