#include "api/http_internal.h"

#include "api/calls.h"
#include "api/metrics.h"
#include "api/stream.h"
#include "base/log.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FDS_FOR_OTHERS 128U // database, logs, epoll

// --- parts ---

// As many files as we may have; returns how many connections that is.
static unsigned raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 512;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= CONNECTIONS_MAX + FDS_FOR_OTHERS)
        return CONNECTIONS_MAX;
    return limit.rlim_cur > 2 * FDS_FOR_OTHERS ? (unsigned)limit.rlim_cur - FDS_FOR_OTHERS
                                               : FDS_FOR_OTHERS;
}

static unsigned thread_count(unsigned wanted)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (wanted > 0)
        return wanted;
    return processors < 2 ? 2 : processors > 4 ? 4 : (unsigned)processors;
}

// What a Host header may name: loopback in its spellings, where we listen, what we were told.
static int collect_hosts(struct http_server *server, const char *listen_host,
                         const char *const *allowed, struct error *err)
{
    const char *const standard[] = {"localhost", "127.0.0.1", "[::1]", listen_host};
    size_t count = sizeof(standard) / sizeof(standard[0]), extra = 0;

    while (allowed && allowed[extra])
        extra++;
    server->hosts = calloc(count + extra + 1, sizeof(char *));
    if (!server->hosts)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    for (size_t i = 0; i < count + extra; i++) {
        server->hosts[i] = strdup(i < count ? standard[i] : allowed[i - count]);
        if (!server->hosts[i])
            return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    server->api.allowed_hosts = (const char *const *)server->hosts;
    return 0;
}

void http_log_library(void *closure, const char *format, va_list args)
{
    char text[256];

    (void)closure;
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    log_line(LOG_DEBUG, "libmicrohttpd", "message", text, NULL);
}

// Paths and queries are decoded by us, strictly.
size_t http_keep_encoded(void *closure, struct MHD_Connection *connection, char *text)
{
    (void)closure, (void)connection;
    return strlen(text);
}

void http_take_target(const char *target, char *out, struct http_target *parts)
{
    char *path = out;
    size_t length;

    parts->authority = NULL;
    if (strncasecmp(target, "http://", 7) == 0) {
        target += 7;
        length = strcspn(target, "/?");
        memcpy(out, target, length);
        out[length] = '\0';
        parts->authority = out;
        target += length;
        path += length + 1;
    }
    length = parts->authority && *target != '/'; // no path is "/"
    memset(path, '/', length);
    strcpy(path + length, target);
    length = strcspn(path, "?");
    parts->path = (struct span){path, length};
    path += length + (path[length] == '?');
    parts->query = (struct span){path, strlen(path)};
}

static int start_daemon(struct http_server *server, unsigned threads, int fd, struct error *err)
{
    unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem pool[] = {
        {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL}};

    server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, http_handle, server,             //
                                      MHD_OPTION_EXTERNAL_LOGGER, http_log_library, NULL,    //
                                      MHD_OPTION_LISTEN_SOCKET, fd,                          //
                                      MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, //
                                      MHD_OPTION_CONNECTION_LIMIT, raise_file_limit(),       //
                                      MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,         //
                                      MHD_OPTION_STRICT_FOR_CLIENT, 1,                       //
                                      MHD_OPTION_URI_LOG_CALLBACK, http_uri, server,         //
                                      MHD_OPTION_UNESCAPE_CALLBACK, http_keep_encoded, NULL, //
                                      MHD_OPTION_NOTIFY_COMPLETED, http_completed, server,   //
                                      MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (!server->daemon)
        return error_set(err, ERROR_INTERNAL, "--listen", "the HTTP server does not start");
    return 0;
}

// --- life ---

static int prepare(struct http_server *server, const struct http_config *config,
                   struct cloud *cloud, struct error *err)
{
    static const struct stream_sleeper sleeper = {http_stream_park, http_stream_wake};
    struct api *api = &server->api;
    int result;

    flight_init(&api->flight);
    api->cloud = cloud;
    api->body_limit = config->body_limit;
    api->upload_limit = config->upload_limit;
    api->router = router_new(endpoints, endpoint_count);
    api->metrics = metrics_new();
    if (!api->router || !api->metrics)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    result = secret_make(api->request_prefix, sizeof(api->request_prefix), err);
    if (result >= 0) {
        api->calls =
            calls_new(config->calls_kept, thread_count(config->threads), api->request_prefix);
        result = api->calls ? 0 : error_set(err, ERROR_INTERNAL, NULL, "out of memory");
        if (api->calls)
            calls_attach(api->calls, cloud);
    }
    if (result >= 0)
        result = cloud_token_add(cloud, config->token, err);
    if (result >= 0)
        result = deadlines_new(cloud, &server->deadlines, err);
    if (result >= 0)
        result = streams_new(cloud, config->keepalive_ns, &sleeper, &api->streams, err);
    return result;
}

static int serve(struct http_server *server, const struct http_config *config, struct error *err)
{
    char host[64];
    int port, fd;
    int result =
        http_listen(config->listen, "--listen", config->allowed_hosts && config->allowed_hosts[0],
                    host, &port, &fd, err);

    if (result < 0)
        return result;
    snprintf(server->address, sizeof(server->address), "http://%s:%d", host, port);
    result = collect_hosts(server, host, config->allowed_hosts, err);
    if (result >= 0)
        result = start_daemon(server, thread_count(config->threads), fd, err);
    if (result < 0)
        close(fd);
    return result;
}

static void server_free(struct http_server *server)
{
    for (char **host = server->hosts; host && *host; host++)
        free(*host);
    free(server->hosts);
    streams_free(server->api.streams);
    deadlines_free(server->deadlines);
    router_free(server->api.router);
    metrics_free(server->api.metrics);
    calls_free(server->api.calls);
    flight_fini(&server->api.flight);
    free(server);
}

int http_server_start(const struct http_config *config, struct cloud *cloud,
                      struct http_server **out, struct error *err)
{
    struct http_server *server = calloc(1, sizeof(*server));
    int result;

    if (!server)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    result = prepare(server, config, cloud, err);
    if (result >= 0)
        result = serve(server, config, err);
    if (result < 0) {
        if (server->api.streams)
            streams_stop(server->api.streams);
        if (server->deadlines)
            deadlines_stop(server->deadlines);
        server_free(server);
        return result;
    }
    *out = server;
    return 0;
}

const char *http_server_address(const struct http_server *server)
{
    return server->address;
}

void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    // Not MHD_quiesce_daemon: with epoll it races with the library's own threads for the listening
    // socket and now and then ends the process (0.9.75). Who still comes is answered 503.
    flight_stop(&server->api.flight);
    cloud_wind_down(server->api.cloud);
    streams_stop(server->api.streams);
    deadlines_stop(server->deadlines);
    flight_wait(&server->api.flight, STOP_PATIENCE_NS);
    MHD_stop_daemon(server->daemon);
    server_free(server);
}
