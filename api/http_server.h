// The HTTP server: the only files that know libmicrohttpd are api/http_*.
//
// Limits: 12 KiB of memory per connection for head and buffers (longer heads are answered 414 or
// 431), 30 s without a byte end a connection (120 s in all for one request's body, an hour for an
// upload), bodies up to body_limit, uploads up to upload_limit, as many connections as
// RLIMIT_NOFILE gives room for, at most 20,000.
#ifndef API_HTTP_SERVER_H
#define API_HTTP_SERVER_H

#include "sim/cloud.h"

#include <stddef.h>

struct http_server; // opaque

struct http_config {
    const char *listen;               // HOST:PORT, [V6]:PORT or :PORT; port 0: any free one
    const char *const *allowed_hosts; // NULL ends; beside loopback names and the listen address
    const char *token;
    unsigned threads;      // 0: two to four, by processors
    size_t body_limit;     // bytes
    uint64_t upload_limit; // of snapshots and recordings
    int64_t keepalive_ns;  // of event streams
    int64_t calls_kept;    // in the call log, by each thread
};

// Whether a server could listen there now, for a start that should fail before it makes anything;
// errors are those that the start would give.
int http_listen_check(const char *listen, const char *flag, const char *const *allowed_hosts,
                      struct error *err);
// Binds and serves. Refuses to listen beyond loopback without allowed_hosts. Errors name --listen.
int http_server_start(const struct http_config *config, struct cloud *cloud,
                      struct http_server **out, struct error *err);
const char *http_server_address(const struct http_server *server); // http://HOST:PORT
// Takes no more connections, ends streams, answers what is in flight (for up to five seconds).
// Before cloud_close. NULL allowed.
void http_server_stop(struct http_server *server);

#endif
