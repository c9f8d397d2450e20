// Between the files api/http_*.
#ifndef API_HTTP_INTERNAL_H
#define API_HTTP_INTERNAL_H

#include "api/http_server.h"
#include "api/request.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define CONNECTION_MEMORY ((size_t)12 * 1024)
#define IDLE_TIMEOUT_S 30U
#define BODY_TIMEOUT_NS (INT64_C(120) * 1000000000)
#define CONNECTIONS_MAX 20000U

struct http_server {
    struct api api;
    struct MHD_Daemon *daemon;
    char **hosts; // NULL ends
    char address[128];
    atomic_ullong requests; // numbers of request ids
    atomic_long busy;       // requests that were read whole and are not done with
    atomic_bool stopping;
    pthread_mutex_t lock;
    pthread_cond_t idle; // nobody is busy any more
};

// Where the listening socket is bound, and the name it was bound by (as in a Host header).
int http_listen(const char *text, bool anywhere, char out_host[64], int *out_port, int *out_fd,
                struct error *err);

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
