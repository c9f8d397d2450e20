#include "backend/engine.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NEWEST 51        // 1.51: the newest version that this was written for
#define TIMEOUT_MS 20000 // of a call that says nothing else
#define CONNECT_MS 5000L
#define STREAM_OPEN_MS 5000
#define STREAM_STEP_MS 20
#define BODY_MAX ((size_t)64 << 20)
#define STREAM_FILTER                                                             \
    "{\"type\":[\"container\"],\"label\":[\"io.x-k8s.kind.cluster\"],\"event\":[" \
    "\"create\",\"start\",\"die\",\"oom\",\"destroy\",\"rename\",\"pause\",\"unpause\"]}"

struct engine {
    char *socket;
    atomic_bool cancelled;
    pthread_mutex_t lock; // of the version
    char version[16];     // "v1.51"; "": not negotiated yet
};

// --- life ---

struct engine *engine_new(const char *host, struct error *err)
{
    const char *path = strncmp(host, "unix://", 7) == 0 ? host + 7 : host;
    struct engine *e;

    if (path[0] != '/' || strlen(path) > 100) {
        error_set(err, ERROR_INVALID, "--docker-socket",
                  "must be unix:///path or /path of the Engine's socket, not \"%s\"", host);
        return NULL;
    }
    e = calloc(1, sizeof(*e));
    if (e)
        e->socket = strdup(path);
    if (!e || !e->socket) {
        free(e);
        error_set(err, ERROR_INTERNAL, NULL, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&e->lock, NULL);
    return e;
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    pthread_mutex_destroy(&e->lock);
    free(e->socket);
    free(e);
}

void engine_cancel(struct engine *e)
{
    atomic_store(&e->cancelled, true);
}

const char *engine_socket(const struct engine *e)
{
    return e->socket;
}

void url_escape(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~", c))
            buffer_append(out, text, 1);
        else
            buffer_printf(out, "%%%02X", c);
    }
}

// --- one transfer ---

static size_t collect(char *bytes, size_t size, size_t count, void *user)
{
    struct buffer *out = user;

    if (size * count > BODY_MAX - out->length)
        return 0;
    buffer_append(out, bytes, size * count);
    return out->failed ? 0 : size * count;
}

static int is_cancelled(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct engine *e = user;

    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&e->cancelled);
}

static int lost(struct engine *e, CURLcode code, struct error *err)
{
    if (atomic_load(&e->cancelled))
        return error_set(err, ERROR_UNAVAILABLE, NULL, "the server is shutting down");
    if (code == CURLE_COULDNT_CONNECT)
        return error_set(err, ERROR_UNAVAILABLE, NULL,
                         "no container engine answers at %s (not running, or no permission)",
                         e->socket);
    return error_set(err, ERROR_UNAVAILABLE, NULL, "the container engine at %s: %s", e->socket,
                     curl_easy_strerror(code));
}

static CURL *prepare(struct engine *e, const char *method, const char *url)
{
    CURL *curl = curl_easy_init();

    if (!curl)
        return NULL;
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, e->socket);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, is_cancelled);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, e);
    return curl;
}

static int transfer(struct engine *e, const struct engine_request *r, const char *url,
                    struct buffer *out, struct error *err)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    char *body = r->body ? json_dumps(r->body, JSON_COMPACT) : NULL;
    CURL *curl = prepare(e, r->method, url);
    long status = 0;
    CURLcode code;

    if (!curl || !headers) {
        free(body);
        curl_slist_free_all(headers);
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, r->timeout_ms ? r->timeout_ms : TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, r->to ? NULL : collect); // NULL: fwrite
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, r->to ? (void *)r->to : (void *)out);
    if (r->from) {
        struct stat file = {0};
        fstat(fileno(r->from), &file);
        rewind(r->from);
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)file.st_size);
        curl_easy_setopt(curl, CURLOPT_READDATA, r->from);
    }
    if (strcmp(r->method, "POST") == 0)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? body : "");
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    free(body);
    return code == CURLE_OK ? (int)status : lost(e, code, err);
}

// --- the version ---

static int minor_of(const json_t *version, const char *key)
{
    const char *text = json_string_value(json_object_get(version, key));
    int major = 0, minor = 0;

    return text && sscanf(text, "%d.%d", &major, &minor) == 2 && major == 1 ? minor : -1;
}

static int negotiate(struct engine *e, struct error *err)
{
    struct engine_request request = {.method = "GET", .timeout_ms = 5000};
    struct buffer body;
    json_t *version;
    int rc, newest, oldest;

    buffer_init(&body);
    rc = transfer(e, &request, "http://docker/version", &body, err);
    version = rc == 200 ? json_loadb(body.data, body.length, 0, NULL) : NULL;
    buffer_fini(&body);
    newest = minor_of(version, "ApiVersion");
    oldest = minor_of(version, "MinAPIVersion");
    json_decref(version);
    if (rc < 0)
        return rc;
    if (newest < 0)
        return error_set(err, ERROR_UNAVAILABLE, NULL, "what answers at %s is no container engine",
                         e->socket);
    newest = newest < NEWEST ? newest : NEWEST;
    snprintf(e->version, sizeof(e->version), "v1.%d", newest > oldest ? newest : oldest);
    return 0;
}

static int version_of(struct engine *e, char out[16], struct error *err)
{
    int rc = 0;

    pthread_mutex_lock(&e->lock);
    if (!e->version[0])
        rc = negotiate(e, err);
    memcpy(out, e->version, sizeof(e->version));
    pthread_mutex_unlock(&e->lock);
    return rc;
}

// --- calls ---

const char *engine_message(const json_t *body)
{
    const char *message = json_string_value(json_object_get(body, "message"));

    return message ? message : "no reason given";
}

static int server_error(int status, const struct buffer *body, struct error *err)
{
    json_t *parsed = json_loadb(body->data ? body->data : "", body->length, 0, NULL);

    error_set(err, ERROR_UNAVAILABLE, NULL, "the container engine answered %d: %s", status,
              engine_message(parsed));
    json_decref(parsed);
    return -ERROR_UNAVAILABLE;
}

int engine_call_raw(struct engine *e, const struct engine_request *request, struct buffer *out,
                    struct error *err)
{
    struct buffer url;
    char version[16];
    int rc = version_of(e, version, err);

    if (rc < 0)
        return rc;
    buffer_init(&url);
    buffer_printf(&url, "http://docker/%s%s", version, request->path);
    buffer_append(&url, "", 1);
    rc = url.failed ? error_set(err, ERROR_INTERNAL, NULL, "out of memory")
                    : transfer(e, request, url.data, out, err);
    buffer_fini(&url);
    return rc >= 500 || (rc >= 0 && rc < 200) ? server_error(rc, out, err) : rc;
}

int engine_call(struct engine *e, const struct engine_request *request, json_t **out,
                struct error *err)
{
    struct buffer body;
    int rc;

    buffer_init(&body);
    rc = engine_call_raw(e, request, &body, err);
    if (out)
        *out = rc >= 0 && body.length > 0
                   ? json_loadb(body.data, body.length, JSON_DISABLE_EOF_CHECK, NULL)
                   : NULL;
    buffer_fini(&body);
    return rc;
}

// --- exec ---

// The two outputs come in frames with a head of eight bytes: which of them, and how long.
static void unframe(const struct buffer *in, struct buffer *out)
{
    const unsigned char *at = (const unsigned char *)in->data, *end = at + in->length;

    while (end - at >= 8) {
        size_t length = (size_t)at[4] << 24 | (size_t)at[5] << 16 | (size_t)at[6] << 8 | at[7];

        at += 8;
        length = length < (size_t)(end - at) ? length : (size_t)(end - at);
        buffer_append(out, at, length);
        at += length;
    }
}

static int exec_create(struct engine *e, const char *container, const char *const *command,
                       char id[80], struct error *err)
{
    json_t *words = json_array(), *body, *answer = NULL;
    struct engine_request request = {.method = "POST"};
    char path[256];
    int rc;

    for (; *command; command++)
        json_array_append_new(words, json_string(*command));
    body = json_pack("{sbsbso}", "AttachStdout", 1, "AttachStderr", 1, "Cmd", words);
    snprintf(path, sizeof(path), "/containers/%.200s/exec", container);
    request.path = path;
    request.body = body;
    rc = engine_call(e, &request, &answer, err);
    if (rc >= 400)
        rc = error_set(err, ERROR_UNAVAILABLE, NULL, "exec in %.64s: %s", container,
                       engine_message(answer));
    else if (rc >= 0)
        snprintf(id, 80, "%s",
                 json_string_value(json_object_get(answer, "Id"))
                     ? json_string_value(json_object_get(answer, "Id"))
                     : "");
    json_decref(answer);
    json_decref(body);
    return rc < 0 ? rc : 0;
}

static int exec_start(struct engine *e, const char *id, long timeout_ms, struct buffer *out,
                      struct error *err)
{
    json_t *body = json_pack("{sbsb}", "Detach", 0, "Tty", 0);
    struct engine_request request = {.method = "POST", .body = body, .timeout_ms = timeout_ms};
    struct buffer raw;
    char path[128];
    int rc;

    buffer_init(&raw);
    snprintf(path, sizeof(path), "/exec/%.80s/start", id);
    request.path = path;
    rc = engine_call_raw(e, &request, &raw, err);
    if (rc >= 400)
        rc = error_set(err, ERROR_UNAVAILABLE, NULL, "exec: the engine answered %d", rc);
    if (rc >= 0)
        unframe(&raw, out);
    buffer_fini(&raw);
    json_decref(body);
    return rc < 0 ? rc : 0;
}

int engine_exec(struct engine *e, const char *container, const char *const *command,
                long timeout_ms, struct buffer *out, int *out_code, struct error *err)
{
    struct engine_request request = {.method = "GET"};
    json_t *answer = NULL;
    char id[80], path[128];
    int rc = exec_create(e, container, command, id, err);

    if (rc == 0)
        rc = exec_start(e, id, timeout_ms, out, err);
    if (rc < 0)
        return rc;
    snprintf(path, sizeof(path), "/exec/%.80s/json", id);
    request.path = path;
    rc = engine_call(e, &request, &answer, err);
    if (rc >= 0)
        *out_code = (int)json_integer_value(json_object_get(answer, "ExitCode"));
    json_decref(answer);
    return rc < 0 ? rc : 0;
}

// --- events ---

struct engine_stream {
    struct engine *engine;
    void (*each)(void *context, const json_t *event);
    void *context;
    CURLM *multi;
    CURL *curl; // NULL: closed
    struct buffer line;
};

struct engine_stream *
engine_stream_new(struct engine *e, void (*each)(void *context, const json_t *event), void *context)
{
    struct engine_stream *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->engine = e;
    s->each = each;
    s->context = context;
    s->multi = curl_multi_init();
    buffer_init(&s->line);
    if (!s->multi) {
        free(s);
        return NULL;
    }
    return s;
}

static void stream_close(struct engine_stream *s)
{
    if (s->curl) {
        curl_multi_remove_handle(s->multi, s->curl);
        curl_easy_cleanup(s->curl);
    }
    s->curl = NULL;
    buffer_clear(&s->line);
}

void engine_stream_free(struct engine_stream *s)
{
    if (!s)
        return;
    stream_close(s);
    curl_multi_cleanup(s->multi);
    buffer_fini(&s->line);
    free(s);
}

static size_t take_events(char *bytes, size_t size, size_t count, void *user)
{
    struct engine_stream *s = user;
    size_t length = size * count;

    for (size_t n = 0; n < length; n++) {
        buffer_append(&s->line, &bytes[n], 1);
        if (bytes[n] == '\n') {
            json_t *event = json_loadb(s->line.data, s->line.length, 0, NULL);

            if (event)
                s->each(s->context, event);
            json_decref(event);
            buffer_clear(&s->line);
        }
    }
    return s->line.length < BODY_MAX ? length : 0;
}

// Until the Engine has answered: what happens from then on is told.
static int await_answer(struct engine_stream *s, struct error *err)
{
    long status = 0;

    for (int waited = 0; s->curl && status == 0 && waited < STREAM_OPEN_MS;
         waited += STREAM_STEP_MS) {
        engine_stream_wait(s, STREAM_STEP_MS);
        if (s->curl)
            curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    if (s->curl && status == 200)
        return 0;
    stream_close(s);
    return error_set(err, ERROR_UNAVAILABLE, NULL, "the container engine at %s tells no events",
                     s->engine->socket);
}

int engine_stream_open(struct engine_stream *s, struct error *err)
{
    struct buffer url;
    char version[16];
    int rc = version_of(s->engine, version, err);

    if (rc < 0)
        return rc;
    stream_close(s);
    buffer_init(&url);
    buffer_printf(&url, "http://docker/%s/events?filters=", version);
    url_escape(&url, STREAM_FILTER);
    buffer_append(&url, "", 1);
    s->curl = url.failed ? NULL : prepare(s->engine, "GET", url.data);
    buffer_fini(&url);
    if (!s->curl)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, take_events);
    curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->curl, CURLOPT_FAILONERROR, 1L);
    curl_multi_add_handle(s->multi, s->curl);
    return await_answer(s, err);
}

bool engine_stream_is_open(const struct engine_stream *s)
{
    return s->curl != NULL;
}

// Whether the stream goes on.
static bool perform(struct engine_stream *s)
{
    int running = 0, left = 0;
    CURLMsg *message;

    curl_multi_perform(s->multi, &running);
    while ((message = curl_multi_info_read(s->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            stream_close(s);
            return false;
        }
    }
    return true;
}

void engine_stream_wait(struct engine_stream *s, int timeout_ms)
{
    if (!perform(s))
        return;
    curl_multi_poll(s->multi, NULL, 0, timeout_ms, NULL);
    perform(s);
}

void engine_stream_wake(struct engine_stream *s)
{
    curl_multi_wakeup(s->multi);
}
