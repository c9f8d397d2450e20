#include "api/http_metadata.h"

#include "api/http_internal.h"
#include "api/metadata_wait.h"
#include "base/random.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define BODY_MAX ((size_t)64 << 10)
#define METADATA_CONNECTIONS_MAX 8192U

struct http_metadata {
    struct metadata service;
    struct metadata_waits *waits;
    struct MHD_Daemon *daemon;
    char address[128];
    struct flight flight;
};

// The life of an exchange:
//
//     HEAD ──► BODY ──► (WAITING, suspended: for its change, or for news) ──► ANSWERED
enum stage { STAGE_HEAD, STAGE_BODY, STAGE_CHANGE, STAGE_WAITING, STAGE_ANSWERED };

struct asking {
    struct metadata_request request;
    struct metadata_waiter waiter;
    struct http_metadata *server;
    struct MHD_Connection *connection;
    enum stage phase;
    bool too_large;
    bool under_way;        // counted
    const char *authority; // of the target; NULL: it had none
    char target[];         // as http_take_target keeps it
};

// --- the head ---

static void *take_uri(void *closure, const char *uri, struct MHD_Connection *connection)
{
    struct http_metadata *server = closure;
    struct asking *x = calloc(1, sizeof(*x) + strlen(uri) + 2);
    struct http_target target;

    if (!x)
        return NULL;
    http_take_target(uri, x->target, &target);
    x->authority = target.authority;
    x->server = server;
    x->connection = connection;
    arena_init(&x->request.arena);
    x->request.service = &server->service;
    x->request.path = target.path;
    x->request.query = target.query;
    return x;
}

static enum MHD_Result take_header(void *closure, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    static const struct {
        const char *name;
        size_t offset; // in struct metadata_headers
    } fields[] = {
        {"Host", offsetof(struct metadata_headers, host)},
        {"Origin", offsetof(struct metadata_headers, origin)},
        {"X-Forwarded-For", offsetof(struct metadata_headers, forwarded_for)},
        {"X-aws-ec2-metadata-token", offsetof(struct metadata_headers, ec2_token)},
        {"X-aws-ec2-metadata-token-ttl-seconds", offsetof(struct metadata_headers, ec2_ttl)},
        {"Metadata-Flavor", offsetof(struct metadata_headers, gce_flavor)},
        {"Metadata", offsetof(struct metadata_headers, azure_metadata)},
    };
    struct asking *x = closure;

    (void)kind;
    value = value ? value : "";
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcasecmp(name, fields[i].name) == 0)
            memcpy((char *)&x->request.headers + fields[i].offset, &value, sizeof(value));
    }
    return MHD_YES;
}

// Who is connected; an IPv4 address that came through an IPv6 socket is an IPv4 address.
static struct ip peer_of(struct MHD_Connection *connection)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    struct ip ip = {0};

    if (address && address->sa_family == AF_INET) {
        ip.family = IP_V4;
        memcpy(ip.bytes, &v4->sin_addr, 4);
    } else if (address && address->sa_family == AF_INET6) {
        bool is_mapped = memcmp(&v6->sin6_addr, mapped, sizeof(mapped)) == 0;
        ip.family = is_mapped ? IP_V4 : IP_V6;
        memcpy(ip.bytes, (const char *)&v6->sin6_addr + (is_mapped ? 12 : 0), is_mapped ? 4 : 16);
    }
    return ip;
}

static enum MHD_Result begin(struct asking *x, const char *method)
{
    struct metadata_request *r = &x->request;

    x->phase = STAGE_BODY;
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, take_header, x);
    if (x->authority)
        r->headers.host = x->authority;
    r->method = arena_strdup(&r->arena, strcmp(method, "HEAD") == 0 ? "GET" : method);
    r->peer = peer_of(x->connection);
    return MHD_YES;
}

static enum MHD_Result take_body(struct asking *x, const char *bytes, size_t *length)
{
    struct buffer *body = &x->request.body;

    if (body->length + *length > BODY_MAX)
        x->too_large = true;
    else
        buffer_append(body, bytes, *length);
    if (body->failed)
        return MHD_NO;
    *length = 0;
    return MHD_YES;
}

// --- replies ---

static enum MHD_Result answer(struct asking *x)
{
    struct metadata_reply *reply = &x->request.reply;
    struct MHD_Response *response;
    enum MHD_Result result;
    size_t length = reply->body.length;
    char *bytes;

    x->phase = STAGE_ANSWERED;
    if (reply->body.failed)
        return MHD_NO;
    bytes = length > 0 ? buffer_take(&reply->body, &length) : NULL;
    response =
        bytes ? MHD_create_response_from_buffer(length, bytes, MHD_RESPMEM_MUST_FREE)
              : MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type",
                            reply->content_type ? reply->content_type : "text/plain");
    for (size_t i = 0; i < reply->header_count; i++)
        MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    result = MHD_queue_response(x->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return result;
}

// On the writer thread.
static void change_done(struct change *c)
{
    struct asking *x = c->context;
    struct http_metadata *server = x->server;

    MHD_resume_connection(x->connection); // x may be gone from here on
    flight_resumed(&server->flight);
}

static enum MHD_Result submit(struct asking *x)
{
    struct http_metadata *server = x->server;
    struct change *c = x->request.change;

    if (!flight_suspend(&server->flight)) {
        metadata_line(&x->request, 503, "the server is shutting down");
        return answer(x);
    }
    c->done = change_done;
    c->context = x;
    x->phase = STAGE_CHANGE;
    MHD_suspend_connection(x->connection);
    cloud_submit(server->service.cloud, c);
    return MHD_YES;
}

// Looks, and waits when there is nothing new to tell; what was rendered last is the answer then.
static enum MHD_Result look(struct asking *x)
{
    enum metadata_outcome outcome = METADATA_REPLY;

    if (x->too_large) {
        metadata_line(&x->request, 413, "the body is too large");
        return answer(x);
    }
    do {
        x->phase = STAGE_WAITING;
        outcome = metadata_handle(&x->request);
        if (outcome == METADATA_WAIT && metadata_wait_park(x->server->waits, &x->waiter))
            return MHD_YES;
    } while (outcome == METADATA_WAIT && !metadata_waits_stopping(x->server->waits));
    return outcome == METADATA_CHANGE ? submit(x) : answer(x);
}

static void park(void *context)
{
    MHD_suspend_connection(((struct asking *)context)->connection);
}

static void wake(void *context)
{
    MHD_resume_connection(((struct asking *)context)->connection);
}

// --- the exchange ---

static void has_been_read(struct asking *x)
{
    x->waiter.waiting = &x->request.waiting;
    x->waiter.context = x;
    x->under_way = true;
    flight_begin(&x->server->flight);
}

static enum MHD_Result handle(void *closure, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct asking *x = *state;

    (void)closure, (void)connection, (void)url, (void)version;
    if (!x)
        return MHD_NO; // take_uri ran out of memory
    if (x->phase == STAGE_HEAD)
        return begin(x, method);
    if (x->phase == STAGE_CHANGE) {
        metadata_answer(&x->request);
        return answer(x);
    }
    if (x->phase == STAGE_BODY && *upload_size > 0)
        return take_body(x, upload, upload_size);
    if (!x->under_way)
        has_been_read(x);
    return look(x);
}

static void completed(void *closure, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    struct http_metadata *server = closure;
    struct asking *x = *state;

    (void)connection, (void)code;
    if (!x)
        return;
    *state = NULL;
    metadata_wait_leave(server->waits, &x->waiter);
    metadata_request_fini(&x->request);
    if (x->under_way)
        flight_end(&server->flight);
    free(x);
}

// --- life ---

static int start_daemon(struct http_metadata *server, int fd, struct error *err)
{
    unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;

    server->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, handle, server,                  //
                         MHD_OPTION_EXTERNAL_LOGGER, http_log_library, NULL,    //
                         MHD_OPTION_LISTEN_SOCKET, fd,                          //
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, //
                         MHD_OPTION_CONNECTION_LIMIT, METADATA_CONNECTIONS_MAX, //
                         MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,         //
                         MHD_OPTION_STRICT_FOR_CLIENT, 1,                       //
                         MHD_OPTION_URI_LOG_CALLBACK, take_uri, server,         //
                         MHD_OPTION_UNESCAPE_CALLBACK, http_keep_encoded, NULL, //
                         MHD_OPTION_NOTIFY_COMPLETED, completed, server, MHD_OPTION_END);
    if (!server->daemon)
        return error_set(err, ERROR_INTERNAL, "--metadata-listen",
                         "the HTTP server does not start");
    return 0;
}

static int serve(struct http_metadata *server, const struct http_metadata_config *config,
                 struct error *err)
{
    char host[64];
    int port, fd;
    int rc = http_listen(config->listen, "--metadata-listen",
                         config->allowed_hosts && config->allowed_hosts[0], host, &port, &fd, err);

    if (rc < 0)
        return rc;
    snprintf(server->address, sizeof(server->address), "http://%s:%d", host, port);
    rc = metadata_waits_new(server->service.cloud, park, wake, &server->waits, err);
    if (rc == 0)
        rc = start_daemon(server, fd, err);
    if (rc < 0)
        close(fd);
    return rc;
}

static void server_free(struct http_metadata *server)
{
    metadata_waits_free(server->waits);
    flight_fini(&server->flight);
    free(server);
}

int http_metadata_start(const struct http_metadata_config *config, struct cloud *cloud,
                        struct http_metadata **out, struct error *err)
{
    static const char *const none[] = {NULL};
    struct http_metadata *server = calloc(1, sizeof(*server));
    int rc;

    if (!server)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    server->service = (struct metadata){
        .cloud = cloud,
        .allowed_hosts = config->allowed_hosts ? config->allowed_hosts : none,
        .tokens_required = config->tokens_required,
        .secret = random_seed(),
    };
    flight_init(&server->flight);
    rc = serve(server, config, err);
    if (rc < 0) {
        if (server->waits)
            metadata_waits_stop(server->waits);
        server_free(server);
        return rc;
    }
    *out = server;
    return 0;
}

const char *http_metadata_address(const struct http_metadata *server)
{
    return server->address;
}

void http_metadata_stop(struct http_metadata *server)
{
    if (!server)
        return;
    flight_stop(&server->flight);
    cloud_wind_down(server->service.cloud);
    metadata_waits_stop(server->waits);
    flight_wait(&server->flight, STOP_PATIENCE_NS);
    MHD_stop_daemon(server->daemon);
    server_free(server);
}
