// Changes: a request becomes a struct change, and a change that is done becomes a reply.
#include "api/bodies.h"
#include "api/handlers.h"
#include "api/request.h"
#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_REVISION (-1) // an If-Match that no resource fits

// --- headers ---

// "120", or "120-3" of a cloud that was replaced three times; without the second number any.
static bool parse_etag(const char *text, size_t length, struct change *out)
{
    size_t digits = strspn(text, "0123456789"), more = 0;

    if (digits == 0 || digits >= 19 || text[0] == '0')
        return false;
    if (digits < length && text[digits] == '-') {
        more = strspn(text + digits + 1, "0123456789");
        if (more == 0 || more >= 19)
            return false;
        out->if_match_epoch = strtoll(text + digits + 1, NULL, 10);
        more++;
    }
    if (digits + more != length)
        return false;
    out->if_match = strtoll(text, NULL, 10);
    return true;
}

static int parse_if_match(const char *text, struct change *out, struct error *err)
{
    size_t length = strlen(text);

    if (strcmp(text, "*") == 0)
        return 0;
    out->if_match = NO_REVISION;
    if (strncmp(text, "W/\"", 3) == 0 && text[length - 1] == '"') // never matches (RFC 9110)
        return 0;
    if (length < 2 || text[0] != '"' || strchr(text + 1, '"') != text + length - 1)
        return error_set(err, ERROR_INVALID, "If-Match", "must be * or one ETag in quotes");
    if (!parse_etag(text + 1, length - 2, out))
        out->if_match = NO_REVISION;
    return 0;
}

static int check_key(const char *key, struct error *err)
{
    size_t length = strlen(key);
    bool visible = true;

    for (size_t i = 0; i < length; i++)
        visible = visible && key[i] > ' ' && key[i] <= '~';
    if (length < 1 || length > 255 || !visible)
        return error_set(err, ERROR_INVALID, "Idempotency-Key",
                         "must have 1 to 255 visible ASCII characters");
    return 0;
}

// Of path and body: with the same key, nothing else may be asked.
static uint64_t fingerprint_of(const struct request *r)
{
    uint64_t path = hash_bytes(HASH_START, r->path.data, r->path.length);

    return hash_bytes(path, r->body.data, r->body.length);
}

static int take_headers(struct request *r, struct change *c, struct error *err)
{
    const struct headers *h = &r->headers;
    unsigned flags = r->endpoint->flags;
    int result = 0;

    if (h->if_match && (flags & TAKES_IF_MATCH))
        result = parse_if_match(h->if_match, c, err);
    if (result < 0 || !h->idempotency_key || !(flags & TAKES_IDEMPOTENCY_KEY))
        return result;
    c->idempotency_key = arena_strdup(&c->arena, h->idempotency_key);
    c->fingerprint = fingerprint_of(r);
    return check_key(h->idempotency_key, err);
}

// --- requests ---

// An operation without a body takes none, or an empty object.
static int parse_body(struct request *r, struct arena *arena, void *object, struct error *err)
{
    const struct schema *schema = r->endpoint->body;

    if ((!schema || schema->optional) && r->body.length == 0)
        return 0;
    return json_in_body(schema ? schema : &body_none, r->body.data, r->body.length, arena, object,
                        err);
}

static int check_query(const struct request *r, struct error *err)
{
    if (r->query.length > 0 && r->endpoint->query == 0)
        return error_set(err, ERROR_UNKNOWN_FIELD, "query", "this operation has no parameters");
    return 0;
}

// The resource is the first path parameter. What PUT makes by that name must be a proper one.
static int set_target(struct request *r, struct change *c, struct error *err)
{
    const char *id;

    if (!r->parameters[0].data)
        return 0;
    id = request_parameter(r, 0, err);
    if (!id)
        return -ERROR_INVALID;
    if (r->endpoint->method == METHOD_PUT && r->endpoint->kind != KIND_LATENCY &&
        !name_valid(id, strlen(id)))
        return error_set(err, ERROR_INVALID, "name", "is not a valid name");
    c->id = arena_strdup(&c->arena, id);
    return 0;
}

int handle_change(struct request *r, struct error *err)
{
    struct change *c = change_new(r->endpoint->apply, r->endpoint->operation);
    int result;

    if (!c)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    r->change = c;
    c->cause = CAUSE_API;
    c->projects_ended = r->projects_ended;
    c->project = r->endpoint->flags & OF_PROJECT ? r->project : 0;
    c->project_name = c->project ? arena_strdup(&c->arena, r->project_name) : NULL;
    result = check_query(r, err);
    if (result >= 0)
        result = set_target(r, c, err);
    if (result >= 0)
        result = take_headers(r, c, err);
    return result < 0 ? result : parse_body(r, &c->arena, &c->request, err);
}

int handle_remove_listener(struct request *r, struct error *err)
{
    int result = handle_change(r, err), end = 0, port = 0;
    const char *text = result < 0 ? NULL : request_parameter(r, 1, err);
    char protocol[4] = "";

    if (!text)
        return -(int)(err->code);
    if (sscanf(text, "%3[a-z]-%5d%n", protocol, &port, &end) != 2 || text[end] != '\0' ||
        (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0) || text[4] < '0' ||
        text[4] > '9' || port > 65535)
        return error_set(err, ERROR_INVALID, "listener",
                         "must be protocol and port, such as tcp-80");
    r->change->request.listener.protocol = protocol[0] == 't' ? PROTOCOL_TCP : PROTOCOL_UDP;
    r->change->request.listener.port = port;
    return 0;
}

// An instance id, or an address in any spelling.
int handle_target(struct request *r, struct error *err)
{
    int result = handle_change(r, err);
    const char *text = result < 0 ? NULL : request_parameter(r, 1, err);
    struct target_ref *ref;
    struct ip ip;
    char *canonical;

    if (!text)
        return -(int)(err->code);
    ref = &r->change->request.target;
    ref->instance_id = arena_strdup(&r->change->arena, text);
    if (ip_parse(text, &ip, NULL) < 0)
        return 0;
    canonical = arena_alloc(&r->change->arena, IP_TEXT_MAX);
    ip_format(&ip, canonical);
    ref->instance_id = NULL;
    ref->address = canonical;
    return 0;
}

int handle_create_project(struct request *r, struct error *err)
{
    int result = handle_change(r, err);
    struct project_spec *spec = r->change ? &r->change->request.project_create : NULL;

    if (result < 0 || !spec || !spec->wants_token)
        return result;
    return secret_make(spec->token, sizeof(spec->token), err);
}

int handle_create_token(struct request *r, struct error *err)
{
    int result = handle_change(r, err);

    if (result < 0)
        return result;
    return secret_make(r->change->request.token.token, sizeof(r->change->request.token.token), err);
}

// --- clock ---

static int submit_clock(struct request *r, const struct clock_change *what, struct error *err)
{
    r->change = clock_change_new(what, r->endpoint->operation);
    if (!r->change)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    return check_query(r, err);
}

int handle_clock_change(struct request *r, struct error *err)
{
    struct clock_change what = {0};
    int result = parse_body(r, &r->arena, &what, err);

    return result < 0 ? result : submit_clock(r, &what, err);
}

static int without_body(struct request *r, enum clock_action action, struct error *err)
{
    struct clock_change what = {.action = action}, unused;
    int result = parse_body(r, &r->arena, &unused, err);

    return result < 0 ? result : submit_clock(r, &what, err);
}

int handle_clock_freeze(struct request *r, struct error *err)
{
    return without_body(r, CLOCK_FREEZE, err);
}

int handle_clock_resume(struct request *r, struct error *err)
{
    return without_body(r, CLOCK_RESUME, err);
}

// --- replies ---

static bool answers_list(const struct change *c)
{
    return c->apply == instance_create && c->request.instance.count > 0;
}

static void answer_list(struct reply *reply, const struct change *c)
{
    buffer_printf(&reply->body, "{\"items\":[");
    buffer_append(&reply->body, c->document.data, c->document.length);
    buffer_printf(&reply->body, "],\"revision\":%" PRId64 "}", c->revision);
}

static void answer_advanced(struct reply *reply, const struct change *c)
{
    buffer_printf(&reply->body, "{\"clock\":");
    buffer_append(&reply->body, c->document.data, c->document.length);
    buffer_printf(&reply->body, ",\"fired\":%" PRId64 "}", c->clock->fired);
}

static void answer_one(struct request *r, struct change *c)
{
    struct reply *reply = &r->reply;
    const char *id =
        r->endpoint->kind == KIND_PROJECT ? c->request.project_create.name : c->result_id;

    buffer_fini(&reply->body);
    reply->body = c->document;
    buffer_init(&c->document);
    reply->revision = c->revision;
    if ((r->endpoint->flags & ANSWERS_LOCATION) && id)
        reply->location = arena_printf(&r->arena, "%s/%s", r->endpoint->path, id);
}

void request_answer(struct request *r)
{
    struct change *c = r->change;

    if (c->error.code != ERROR_NONE)
        request_refuse(r, &c->error);
    else if (r->reply.status == 204)
        buffer_clear(&r->reply.body);
    else if (answers_list(c))
        answer_list(&r->reply, c);
    else if (c->clock && r->endpoint->body == &body_clock_advance)
        answer_advanced(&r->reply, c);
    else
        answer_one(r, c);
}
