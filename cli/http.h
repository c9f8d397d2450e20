// HTTP for the client verbs, over libcurl: JSON in and out, problems turned into failures.
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include "base/buffer.h"
#include "cli/config.h"
#include "cli/failure.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct http; // opaque

struct http_request {
    const char *method;
    const char *path;            // with the query, already encoded
    const json_t *body;          // NULL: none
    int64_t if_revision;         // 0: no If-Match
    const char *idempotency_key; // NULL: none
};

// `config` is borrowed. NULL: out of memory.
struct http *http_new(const struct config *config);
void http_free(struct http *h);
const struct config *http_config(const struct http *h);
// At most this long for each request from now on; 0: no limit.
void http_set_timeout(struct http *h, int64_t ns);

// *out is the reply, owned by the caller; NULL when the server had nothing to say (204). `out` may
// be NULL.
int http_send(struct http *h, const struct http_request *request, json_t **out, struct failure *f);
int http_get(struct http *h, const char *path, json_t **out, struct failure *f);

// Cloud time when the last answer was sent: false when it did not say.
bool http_cloud_time(struct http *h, int64_t *out_ns);

// Reads a stream of server-sent events until `sink` returns false (EXIT_OK), the stream ends
// (EXIT_OK with *out_ended set) or it fails. `last_id` "": from what the path says.
typedef bool http_sink(void *user, const char *bytes, size_t length);
int http_stream(struct http *h, const char *path, const char *last_id, http_sink *sink, void *user,
                bool *out_ended, struct failure *f);

// Files: the answer of a GET written to `to` as it comes, and a PUT or POST of the `size` bytes of
// `from`. There is no time limit but for silence. *out as of http_send.
int http_download(struct http *h, const char *path, FILE *to, struct failure *f);
int http_upload(struct http *h, const char *method, const char *path, const char *type, FILE *from,
                int64_t size, json_t **out, struct failure *f);

// Appends `text` percent-encoded for a path segment or a query value.
void http_escape(struct buffer *b, const char *text);

#endif
