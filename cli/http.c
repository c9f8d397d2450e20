#include "cli/http.h"
#include "base/timefmt.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_SILENCE_S 45L // the server sends a comment every 15 s
#define FILE_SILENCE_S 600L  // a large file is checked before it is answered
#define REPLY_MAX ((size_t)1 << 30)

struct http {
    CURL *curl;
    const struct config *config;
    long timeout_ms;
};

struct reply {
    struct http *http;
    struct buffer body;
    http_sink *sink; // NULL: collect
    void *user;
    bool stopped; // by the sink
};

static bool is_loopback(const char *url)
{
    const char *host = strstr(url, "://") + 3;

    return strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost", 9) == 0 ||
           strncmp(host, "[::1]", 5) == 0;
}

struct http *http_new(const struct config *config)
{
    struct http *h = calloc(1, sizeof *h);

    if (h == NULL)
        return NULL;
    h->config = config;
    h->curl = curl_easy_init();
    if (h->curl == NULL) {
        free(h);
        return NULL;
    }
    http_set_timeout(h, config->timeout_ns);
    return h;
}

void http_free(struct http *h)
{
    if (h != NULL) {
        curl_easy_cleanup(h->curl);
        free(h);
    }
}

const struct config *http_config(const struct http *h)
{
    return h->config;
}

void http_set_timeout(struct http *h, int64_t ns)
{
    int64_t ms = ns / NS_PER_MS;

    if (ns > 0 && ms == 0)
        ms = 1;
    h->timeout_ms = ms > LONG_MAX ? LONG_MAX : (long)ms;
}

void http_escape(struct buffer *b, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~", c) != NULL)
            buffer_append(b, text, 1);
        else
            buffer_printf(b, "%%%02X", c);
    }
}

static long status_of(struct http *h)
{
    long status = 0;

    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct reply *reply = user;
    size_t length = size * count;

    if (reply->sink != NULL && status_of(reply->http) == 200) {
        reply->stopped = !reply->sink(reply->user, bytes, length);
        return reply->stopped ? 0 : length;
    }
    if (length > REPLY_MAX - reply->body.length)
        return 0;
    buffer_append(&reply->body, bytes, length);
    return reply->body.failed ? 0 : length;
}

static int transport_failure(struct http *h, CURLcode code, struct failure *f)
{
    const char *server = h->config->server;

    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return fail(f, EXIT_TIMEOUT, "%s did not answer within %ld ms (--timeout)", server,
                    h->timeout_ms);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return fail(f, EXIT_USAGE, "--server: '%s' is not an address", server);
    case CURLE_COULDNT_CONNECT:
        return fail(f, EXIT_UNREACHABLE,
                    "cannot reach %s: connection refused or impossible; is "
                    "`mockcloud serve` running there?",
                    server);
    case CURLE_WRITE_ERROR:
        return fail(f, EXIT_REFUSED, "%s: the answer is too large", server);
    default:
        return fail(f, EXIT_UNREACHABLE, "cannot reach %s: %s", server, curl_easy_strerror(code));
    }
}

// A quota is not a matter of rights, and a wrong path says nothing about any resource.
static enum exit_code exit_of(long status, const char *code)
{
    if (strcmp(code, "quota_exceeded") == 0 || strcmp(code, "no_such_path") == 0)
        return EXIT_REFUSED;
    switch (status) {
    case 401:
    case 403:
        return EXIT_DENIED;
    case 404:
        return EXIT_NOT_FOUND;
    case 409:
    case 412:
        return EXIT_CONFLICT;
    default:
        return EXIT_REFUSED;
    }
}

static int problem_failure(struct http *h, long status, const struct buffer *body,
                           struct failure *f)
{
    json_t *problem = json_loadb(body->data != NULL ? body->data : "", body->length, 0, NULL);
    const char *code = json_string_value(json_object_get(problem, "code"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *field = json_string_value(json_object_get(problem, "field"));
    const char *request = json_string_value(json_object_get(problem, "request_id"));
    int rc;

    if (code == NULL || detail == NULL) {
        rc = fail(f, EXIT_REFUSED, "%s answered %ld and no problem document; is it mockcloud?",
                  h->config->server, status);
    } else {
        rc = fail(f, exit_of(status, code), "%s: %s%s%s%s%s%s%s", code, detail,
                  field != NULL ? " (" : "", field != NULL ? field : "", field != NULL ? ")" : "",
                  status >= 500 && request != NULL ? " [request " : "",
                  status >= 500 && request != NULL ? request : "",
                  status >= 500 && request != NULL ? "]" : "");
    }
    json_decref(problem);
    return rc;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    struct buffer line;
    struct curl_slist *longer;
    char *text;

    buffer_init(&line);
    buffer_printf(&line, "%s: %s", name, value);
    text = buffer_take(&line, NULL);
    longer = text != NULL ? curl_slist_append(list, text) : NULL;
    free(text);
    return longer != NULL ? longer : list;
}

static struct curl_slist *common_headers(const struct http *h)
{
    struct curl_slist *list = add_header(NULL, "User-Agent", "mockcloud-cli");
    struct buffer value;

    buffer_init(&value);
    if (h->config->token[0] != '\0') {
        buffer_printf(&value, "Bearer %s", h->config->token);
        buffer_append(&value, "", 1);
        list = add_header(list, "Authorization", value.failed ? "" : value.data);
    }
    buffer_fini(&value);
    if (h->config->project != NULL)
        list = add_header(list, "X-Mockcloud-Project", h->config->project);
    return list;
}

static struct curl_slist *request_headers(const struct http *h, const struct http_request *request)
{
    struct curl_slist *list = common_headers(h);
    char etag[32];

    if (request->body != NULL)
        list = add_header(list, "Content-Type", "application/json");
    if (request->if_revision > 0) {
        snprintf(etag, sizeof etag, "\"%" PRId64 "\"", request->if_revision);
        list = add_header(list, "If-Match", etag);
    }
    if (request->idempotency_key != NULL)
        list = add_header(list, "Idempotency-Key", request->idempotency_key);
    return list;
}

static char *join_url(const struct http *h, const char *path)
{
    size_t length = strlen(h->config->server);
    struct buffer url;

    while (length > 0 && h->config->server[length - 1] == '/')
        length--;
    buffer_init(&url);
    buffer_append(&url, h->config->server, length);
    buffer_append_string(&url, path);
    return buffer_take(&url, NULL);
}

static void set_options(struct http *h, const char *url, struct curl_slist *headers,
                        struct reply *reply)
{
    curl_easy_reset(h->curl); // keeps the connection
    curl_easy_setopt(h->curl, CURLOPT_URL, url);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->curl, CURLOPT_TIMEOUT_MS, h->timeout_ms);
    curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h->curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, reply);
    if (is_loopback(url))
        curl_easy_setopt(h->curl, CURLOPT_PROXY, "");
}

// Whether the time limit of the request ran out, rather than a stream going silent or being cut.
static bool is_expired(struct http *h, CURLcode code)
{
    curl_off_t microseconds = 0;

    curl_easy_getinfo(h->curl, CURLINFO_TOTAL_TIME_T, &microseconds);
    return code == CURLE_OPERATION_TIMEDOUT && h->timeout_ms > 0 &&
           microseconds / 1000 >= h->timeout_ms;
}

// Performs what was set; 2xx is EXIT_OK.
static int perform(struct http *h, struct reply *reply, struct failure *f)
{
    CURLcode code = curl_easy_perform(h->curl);
    long status = status_of(h);

    if (reply->stopped || (reply->sink != NULL && status == 200 && !is_expired(h, code)))
        return EXIT_OK;
    if (code != CURLE_OK)
        return transport_failure(h, code, f);
    if (status < 200 || status > 299)
        return problem_failure(h, status, &reply->body, f);
    return EXIT_OK;
}

static int parse_reply(struct http *h, const struct buffer *body, json_t **out, struct failure *f)
{
    json_t *value = NULL;

    if (out == NULL)
        return EXIT_OK;
    if (body->length > 0) {
        value = json_loadb(body->data, body->length, 0, NULL);
        if (value == NULL) {
            return fail(f, EXIT_REFUSED,
                        "%s answered with something that is not JSON; is it "
                        "mockcloud?",
                        h->config->server);
        }
    }
    *out = value;
    return EXIT_OK;
}

int http_send(struct http *h, const struct http_request *request, json_t **out, struct failure *f)
{
    struct reply reply = {.http = h};
    struct curl_slist *headers = request_headers(h, request);
    char *url = join_url(h, request->path);
    char *body = request->body != NULL ? json_dumps(request->body, JSON_COMPACT) : NULL;
    int rc;

    buffer_init(&reply.body);
    if (url == NULL || (request->body != NULL && body == NULL)) {
        rc = fail(f, EXIT_REFUSED, "out of memory");
        goto done;
    }
    set_options(h, url, headers, &reply);
    curl_easy_setopt(h->curl, CURLOPT_CUSTOMREQUEST, request->method);
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "DELETE") != 0)
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, body != NULL ? body : "");
    rc = perform(h, &reply, f);
    if (rc == EXIT_OK)
        rc = parse_reply(h, &reply.body, out, f);
done:
    buffer_fini(&reply.body);
    curl_slist_free_all(headers);
    free(url);
    free(body);
    return rc;
}

int http_get(struct http *h, const char *path, json_t **out, struct failure *f)
{
    return http_send(h, &(struct http_request){.method = "GET", .path = path}, out, f);
}

bool http_cloud_time(struct http *h, int64_t *out_ns)
{
    struct curl_header *header;

    return curl_easy_header(h->curl, "X-Mockcloud-Time", 0, CURLH_HEADER, -1, &header) ==
               CURLHE_OK &&
           time_parse(header->value, out_ns, NULL) == 0;
}

int http_stream(struct http *h, const char *path, const char *last_id, http_sink *sink, void *user,
                bool *out_ended, struct failure *f)
{
    struct reply reply = {.http = h, .sink = sink, .user = user};
    struct curl_slist *headers = add_header(common_headers(h), "Accept", "text/event-stream");
    char *url = join_url(h, path);
    int rc;

    buffer_init(&reply.body);
    if (last_id[0] != '\0')
        headers = add_header(headers, "Last-Event-ID", last_id);
    if (url == NULL) {
        rc = fail(f, EXIT_REFUSED, "out of memory");
    } else {
        set_options(h, url, headers, &reply);
        curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_TIME, STREAM_SILENCE_S);
        rc = perform(h, &reply, f);
        *out_ended = !reply.stopped;
    }
    buffer_fini(&reply.body);
    curl_slist_free_all(headers);
    free(url);
    return rc;
}

// --- files ---

static void set_silence_limit(struct http *h)
{
    curl_easy_setopt(h->curl, CURLOPT_TIMEOUT_MS, 0L);
    curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_TIME, FILE_SILENCE_S);
}

static bool write_out(void *user, const char *bytes, size_t length)
{
    return fwrite(bytes, 1, length, user) == length;
}

int http_download(struct http *h, const char *path, FILE *to, struct failure *f)
{
    struct reply reply = {.http = h, .sink = write_out, .user = to};
    struct curl_slist *headers = common_headers(h);
    char *url = join_url(h, path);
    CURLcode code;
    int rc = EXIT_OK;

    buffer_init(&reply.body);
    if (url == NULL) {
        rc = fail(f, EXIT_REFUSED, "out of memory");
        goto done;
    }
    set_options(h, url, headers, &reply);
    set_silence_limit(h);
    code = curl_easy_perform(h->curl);
    if (reply.stopped)
        rc = fail(f, EXIT_REFUSED, "cannot write the file: %s", strerror(errno));
    else if (code != CURLE_OK)
        rc = transport_failure(h, code, f);
    else if (status_of(h) != 200)
        rc = problem_failure(h, status_of(h), &reply.body, f);
done:
    buffer_fini(&reply.body);
    curl_slist_free_all(headers);
    free(url);
    return rc;
}

int http_upload(struct http *h, const char *method, const char *path, const char *type, FILE *from,
                int64_t size, json_t **out, struct failure *f)
{
    struct reply reply = {.http = h};
    struct curl_slist *headers = add_header(common_headers(h), "Content-Type", type);
    char *url = join_url(h, path);
    int rc;

    buffer_init(&reply.body);
    if (url == NULL) {
        rc = fail(f, EXIT_REFUSED, "out of memory");
        goto done;
    }
    set_options(h, url, headers, &reply);
    set_silence_limit(h);
    curl_easy_setopt(h->curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(h->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(h->curl, CURLOPT_READDATA, from);
    curl_easy_setopt(h->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
    rc = perform(h, &reply, f);
    if (rc == EXIT_OK)
        rc = parse_reply(h, &reply.body, out, f);
done:
    buffer_fini(&reply.body);
    curl_slist_free_all(headers);
    free(url);
    return rc;
}
