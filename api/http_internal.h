// Between the files api/http_*.
#ifndef API_HTTP_INTERNAL_H
#define API_HTTP_INTERNAL_H

#include "api/deadlines.h"
#include "api/http_server.h"
#include "api/request.h"

#include <microhttpd.h>
#include <stdatomic.h>

#define CONNECTION_MEMORY ((size_t)12 * 1024)
#define IDLE_TIMEOUT_S 30U
#define BODY_TIMEOUT_NS (INT64_C(120) * 1000000000)
#define UPLOAD_TIMEOUT_NS (INT64_C(3600) * 1000000000)
#define CONNECTIONS_MAX 20000U
#define STOP_PATIENCE_NS (INT64_C(5) * 1000000000)

struct http_server {
    struct api api;
    struct MHD_Daemon *daemon;
    struct deadlines *deadlines;
    char **hosts; // NULL ends
    char address[128];
    atomic_ullong requests; // numbers of request ids
};

// The life of an exchange:
//
//     HEAD ──► BODY ──► (DELAYED) ──► (WAITING, until its change is done) ──► (HUNG) ──► ANSWERED
//       └────────────────── refused or without a body ─────────────────────────────────►┘
//
// Those in brackets are suspended connections; DELAYED and HUNG are what fault rules do.
enum phase {
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_DELAYED,
    PHASE_WAITING,
    PHASE_WORKING, // as WAITING, for a thread of its own
    PHASE_HUNG,
    PHASE_ANSWERED
};

struct exchange {
    struct request request; // first: streams hand it back to us
    struct http_server *server;
    struct MHD_Connection *connection;
    enum phase phase;
    uint64_t expected; // Content-Length; 0: none or unknown
    bool has_length;   // a Content-Length, and
    bool has_coding;   // a Transfer-Encoding: both together are how requests are smuggled
    uint64_t received;
    bool expects;             // an Expect header: the client waits before it sends the body
    bool in_flight;           // counted
    int upload;               // open for writing: where the body goes; 0: into memory
    struct error *error;      // of the head, then of the work; told when the body has been read.
                              // NULL: none. In the arena, so that an exchange stays small enough
                              // for malloc's quick lists
    struct deadline deadline; // of an injected wait
    const char *authority;    // of the target; NULL: it had none
    char target[];            // as http_take_target keeps it
};

// Effects of fault rules on connections (api/http_injection.c).
//
// Suspends the exchange for what is left of the latency; false: nothing is.
bool http_delay(struct exchange *x);
// Suspends it until the client goes, or the bound of the rule.
enum MHD_Result http_hang(struct exchange *x);
// The connection ends without a word: by FIN, or by RST.
enum MHD_Result http_drop(struct exchange *x);
enum MHD_Result http_reset(struct exchange *x);
// Of `length` bytes (freed by it) all are announced and only the first `cut` sent.
struct MHD_Response *http_truncated(char *bytes, size_t length, size_t cut);
// In the log, the metrics and the call log; status 0: it was left without an answer.
void http_observe(const struct exchange *x, int status);

void http_keep_error(struct exchange *x, const struct error *error);

// For bodies that may be longer than memory should hold (api/http_work.c): a file, written to as
// they come; that hardly ever waits for a disk.
void http_upload_open(struct exchange *x);
void http_upload_write(struct exchange *x, const char *bytes, size_t length);
// Suspends the exchange and runs request.work on a thread of its own.
enum MHD_Result http_work(struct exchange *x);

// Where the listening socket is bound, and the name it was bound by (as in a Host header). Errors
// name `flag`.
int http_listen(const char *text, const char *flag, bool anywhere, char out_host[64], int *out_port,
                int *out_fd, struct error *err);

struct http_target {
    const char *authority;   // NULL: the Host field has it
    struct span path, query; // the query without its "?"
};

// Keeps the target of a request line in `out`, which has strlen(target) + 2 bytes, and takes it
// apart: in origin form ("/path?query") or in absolute form ("http://authority/path?query", whose
// authority counts and not the Host field; RFC 9112, 3.2.2).
void http_take_target(const char *target, char *out, struct http_target *parts);
// For every daemon: its messages into our log; paths and queries left as they were sent, since we
// decode them strictly.
void http_log_library(void *closure, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
size_t http_keep_encoded(void *closure, struct MHD_Connection *connection, char *text);

// Callbacks of libmicrohttpd (api/http_connection.c); the closure is the http_server.
void *http_uri(void *closure, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_handle(void *closure, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_size, void **state);
void http_completed(void *closure, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode code);
// Of struct stream_sleeper; the context is the request.
void http_stream_park(void *context);
void http_stream_wake(void *context);

#endif
