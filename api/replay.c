#include "api/replay.h"

#include "base/json_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replaying {
    struct api *api;
    replay_go_on *go_on;
    void *context;
    FILE *file;
    char *text; // of the line
    size_t size;
    int64_t line, applied, time_ns;
    bool ended;           // the last line was read
    int64_t end_revision; // which it says
    struct replay_result *result;
};

// --- lines ---

static int bad_line(const struct replaying *p, const char *why, struct error *err)
{
    return error_set(err, ERROR_INVALID, NULL, "line %" PRId64 " of the recording: %s", p->line,
                     why);
}

// 1 a line, 0 the end. A last line without an end that is no JSON was cut off by a kill.
static int next_line(struct replaying *p, json_t **out, struct error *err)
{
    ssize_t length = getline(&p->text, &p->size, p->file);

    if (length < 0)
        return ferror(p->file) ? error_set(err, ERROR_STORAGE, NULL, "the recording cannot be read")
                               : 0;
    *out = json_loadb(p->text, (size_t)length, JSON_REJECT_DUPLICATES, NULL);
    if (!*out && p->line > 0 && p->text[length - 1] != '\n')
        return 0;
    p->line++;
    if (json_is_object(*out))
        return 1;
    json_decref(*out);
    return bad_line(p, "is not a JSON object", err);
}

static int64_t number(const json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key));
}

static const char *text(const json_t *line, const char *key)
{
    return json_string_value(json_object_get(line, key));
}

// --- the header ---

static void read_pools(const json_t *pools, struct replay_start *out)
{
    for (size_t i = 0; i < json_array_size(pools) && i < REPLAY_POOLS_MAX; i++) {
        const char *pool = json_string_value(json_array_get(pools, i));
        snprintf(out->pools[out->pool_count++], CIDR_TEXT_MAX, "%s", pool ? pool : "");
    }
}

static int read_header(struct replaying *p, const json_t *line, struct replay_start *out,
                       struct error *err)
{
    const json_t *clock = json_object_get(line, "clock");
    const char *seed = text(line, "seed");
    int64_t mode = number(clock, "mode");

    if (number(line, "mockcloud_recording") != 1 || !seed || !clock || mode < CLOCK_REAL ||
        mode > CLOCK_MANUAL)
        return bad_line(p, "is not the header of a recording that this version knows", err);
    *out =
        (struct replay_start){.seed = strtoull(seed, NULL, 10),
                              .revision = number(line, "revision"),
                              .clock = {.mode = (enum clock_mode)mode,
                                        .scale = json_number_value(json_object_get(clock, "scale")),
                                        .frozen = json_is_true(json_object_get(clock, "frozen")),
                                        .cloud_ns = number(line, "time_ns"),
                                        .wall_ns = clock_wall()}};
    read_pools(json_object_get(line, "pools"), out);
    p->time_ns = out->clock.cloud_ns;
    return 0;
}

static int read_start(struct replaying *p, struct replay_start *out, struct error *err)
{
    json_t *line;
    int result = next_line(p, &line, err);

    if (result == 0)
        return error_set(err, ERROR_INVALID, NULL, "the recording is empty");
    if (result < 0)
        return result;
    result = read_header(p, line, out, err);
    json_decref(line);
    return result;
}

static int begin(struct replaying *p, struct error *err)
{
    struct replay_start start;
    int result = read_start(p, &start, err);

    return result < 0 ? result : cloud_replay_begin(p->api->cloud, &start, err);
}

// --- one change ---

static void differs(struct replaying *p, int64_t revision, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void differs(struct replaying *p, int64_t revision, const char *format, ...)
{
    va_list args;

    p->result->difference = p->line;
    p->result->difference_revision = revision;
    va_start(args, format);
    vsnprintf(p->result->message, sizeof(p->result->message), format, args);
    va_end(args);
}

// A server that stops cuts a change short: that is no difference. The next look at go_on ends it.
static bool was_cut(const struct replaying *p, const struct change *c)
{
    return c->error.code == ERROR_UNAVAILABLE && !p->go_on(p->context, p->line);
}

static void compare(struct replaying *p, const json_t *line, const struct change *c)
{
    const char *then = text(line, "code");
    const char *now = c->error.code == ERROR_NONE ? NULL : error_string(c->error.code);

    p->applied++;
    if (c->applied_at != number(line, "revision"))
        differs(p, c->applied_at, "the cloud was at revision %" PRId64 " and is at %" PRId64,
                number(line, "revision"), c->applied_at);
    else if (strcmp(then ? then : "", now ? now : "") != 0)
        differs(p, c->applied_at, "%s ended with %s and ends with %s", c->operation,
                then ? then : "success", now ? now : "success");
    else if (!now && c->revision != number(line, "result"))
        differs(p, c->applied_at, "%s made revision %" PRId64 " and makes %" PRId64, c->operation,
                number(line, "result"), c->revision);
}

static void apply(struct replaying *p, const json_t *line, struct change *c)
{
    p->time_ns = c->at_ns = number(line, "time_ns");
    cloud_apply(p->api->cloud, c);
    if (!was_cut(p, c))
        compare(p, line, c);
}

static int find_endpoint(const struct replaying *p, const json_t *line, struct request *r,
                         struct error *err)
{
    const char *path = text(line, "path"), *name = text(line, "method");
    struct route_match match;
    enum method method;
    bool head;

    if (!path || !name || !method_parse(name, &method, &head))
        return bad_line(p, "has no method and path", err);
    router_match(p->api->router, method, path, strlen(path), &match);
    if (!match.endpoint || match.endpoint->method == METHOD_GET || match.endpoint->handle == NULL)
        return bad_line(p, "is no change that this version knows", err);
    r->endpoint = match.endpoint;
    r->path = (struct span){path, strlen(path)};
    memcpy(r->parameters, match.parameters, sizeof(r->parameters));
    return 0;
}

// As the request was when its handler was called.
static int rebuild(const struct replaying *p, const json_t *line, struct request *r,
                   struct error *err)
{
    const json_t *body = json_object_get(line, "body");
    const char *project = text(line, "project");

    r->api = p->api;
    r->epoch = cloud_epoch(p->api->cloud);
    r->headers.content_type = "application/json";
    r->headers.if_match = text(line, "if_match");
    r->headers.idempotency_key = text(line, "idempotency_key");
    r->who.scope = SCOPE_SIM;
    buffer_append(&r->body, json_string_value(body), json_string_length(body));
    if (find_endpoint(p, line, r, err) < 0)
        return -ERROR_INVALID;
    r->project_name = project;
    return project ? cloud_project(p->api->cloud, project, &r->project, err) : 0;
}

static int replay_request(struct replaying *p, const json_t *line, struct error *err)
{
    const char *code = text(line, "code");
    struct request r = {0};
    struct error inner = {0};
    int result = rebuild(p, line, &r, err);

    if (result == -ERROR_NOT_FOUND && code && strcmp(code, error_string(ERROR_UNAUTHORIZED)) == 0) {
        p->time_ns = number(line, "time_ns"); // the project had just ended, as now
        p->applied++;
        *err = (struct error){0};
        result = 0;
    } else if (result == -ERROR_NOT_FOUND) {
        differs(p, cloud_revision(p->api->cloud), "there is no project %s", r.project_name);
        *err = (struct error){0};
        result = 0;
    } else if (result == 0 && (request_handle(&r, &inner) < 0 || !r.change)) {
        result = bad_line(p, inner.code ? inner.message : "is no change", err);
    } else if (result == 0) {
        if (!code || strcmp(code, error_string(ERROR_PRECONDITION)) != 0)
            r.change->if_match_epoch = -1; // it matched then, and epochs are not recorded
        apply(p, line, r.change);
    }
    request_fini(&r);
    return result;
}

static void compare_firing(struct replaying *p, const json_t *line, const struct change *c)
{
    p->applied++;
    if (c->error.code != ERROR_NONE)
        differs(p, c->applied_at, "fault %s: %s", c->firing->rule, c->error.message);
    else if (c->applied_at != number(line, "revision"))
        differs(p, c->applied_at, "the cloud was at revision %" PRId64 " and is at %" PRId64,
                number(line, "revision"), c->applied_at);
}

static int replay_firing(struct replaying *p, const json_t *line, struct error *err)
{
    struct change_firing firing = {.rule = text(line, "fault"),
                                   .matched = number(line, "matched"),
                                   .fired = number(line, "fired")};
    const char *operation = text(line, "operation");
    struct change *c;

    if (!operation)
        return bad_line(p, "has no operation", err);
    c = cloud_replay_firing(&firing, operation);
    if (!c)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    p->time_ns = c->at_ns = number(line, "time_ns");
    cloud_apply(p->api->cloud, c);
    if (!was_cut(p, c))
        compare_firing(p, line, c);
    change_free(c);
    return 0;
}

static int replay_line(struct replaying *p, const json_t *line, struct error *err)
{
    if (number(line, "time_ns") < p->time_ns)
        return bad_line(p, "time goes back", err);
    if (json_object_get(line, "end")) {
        p->ended = true;
        p->time_ns = number(line, "time_ns");
        p->end_revision = number(line, "revision");
        return 0;
    }
    if (text(line, "unreplayable")) {
        differs(p, cloud_revision(p->api->cloud), "%s came from without and cannot be replayed",
                text(line, "unreplayable"));
        return 0;
    }
    return text(line, "fault") ? replay_firing(p, line, err) : replay_request(p, line, err);
}

// --- the whole ---

static int replay_all(struct replaying *p, struct error *err)
{
    json_t *line;
    int result = 1;

    while (result == 1 && p->result->difference == 0 && !p->ended) {
        if (!p->go_on(p->context, p->line))
            return error_set(err, ERROR_UNAVAILABLE, NULL,
                             "stopped after line %" PRId64 " of the recording", p->line);
        result = next_line(p, &line, err);
        if (result == 1) {
            int done = replay_line(p, line, err);
            json_decref(line);
            result = done < 0 ? done : result;
        }
    }
    return result < 0 ? result : 0;
}

void replay_encode(const struct replay_result *result, struct buffer *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object_begin(&w);
    jw_field_int(&w, "lines", result->lines);
    jw_field_int(&w, "applied", result->applied);
    jw_field_int(&w, "revision", result->revision);
    if (result->difference > 0) {
        jw_key(&w, "difference");
        jw_object_begin(&w);
        jw_field_int(&w, "line", result->difference);
        jw_field_int(&w, "revision", result->difference_revision);
        jw_field_string(&w, "message", result->message);
        jw_object_end(&w);
    }
    jw_object_end(&w);
}

static int replay(struct replaying *p, struct error *err)
{
    int64_t revision = 0;
    int result = begin(p, err), ended;

    if (result < 0)
        return result;
    result = replay_all(p, err);
    ended = cloud_replay_end(p->api->cloud, p->time_ns, &revision, result < 0 ? NULL : err);
    if (result == 0 && p->ended && revision != p->end_revision)
        differs(p, revision, "the recording ends at revision %" PRId64 " and this at %" PRId64,
                p->end_revision, revision);
    p->result->lines = p->line;
    p->result->applied = p->applied;
    p->result->revision = revision;
    return result < 0 ? result : ended;
}

static int open_file(struct replaying *p, const char *path, struct error *err)
{
    p->file = fopen(path, "re");
    return p->file ? 0
                   : error_set(err, ERROR_STORAGE, NULL, "the recording cannot be read: %s",
                               strerror(errno));
}

static void close_file(struct replaying *p)
{
    fclose(p->file);
    free(p->text);
}

static int replay_from(struct replaying *p, const char *path, struct error *err)
{
    int result = open_file(p, path, err);

    *p->result = (struct replay_result){.lines = 0};
    if (result < 0)
        return result;
    result = replay(p, err);
    close_file(p);
    return result;
}

static bool is_not_stopping(void *context, int64_t line)
{
    struct api *api = context;

    (void)line;
    return !flight_stopping(&api->flight);
}

int replay_file(struct api *api, const char *path, struct replay_result *out, struct error *err)
{
    struct replaying p = {.api = api, .go_on = is_not_stopping, .context = api, .result = out};

    return replay_from(&p, path, err);
}

int replay_alone(struct cloud *cloud, const char *path, replay_go_on *go_on, void *context,
                 struct replay_result *out, struct error *err)
{
    struct api api = {.cloud = cloud, .router = router_new(endpoints, endpoint_count)};
    int result;

    if (!api.router)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    struct replaying p = {.api = &api, .go_on = go_on, .context = context, .result = out};
    result = replay_from(&p, path, err);
    router_free(api.router);
    return result;
}

int replay_look(const char *path, struct replay_start *out, struct error *err)
{
    struct replaying p = {.line = 0};
    int result = open_file(&p, path, err);

    if (result < 0)
        return result;
    result = read_start(&p, out, err);
    close_file(&p);
    return result;
}
