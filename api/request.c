#include "api/request.h"

#include "api/auth.h"
#include "api/bodies.h"
#include "api/injection.h"
#include "api/problem.h"
#include "api/query.h"
#include "base/decimal.h"
#include "base/json_writer.h"
#include "base/timefmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

bool request_wants_stream(const struct request *r)
{
    static const char type[] = "text/event-stream";
    const char *accept = r->head ? NULL : r->headers.accept;

    while (accept && *accept) {
        accept += strspn(accept, ", \t");
        if (strncasecmp(accept, type, sizeof(type) - 1) == 0 &&
            strchr(";, \t", accept[sizeof(type) - 1])) // the end of the string, too
            return true;
        accept += strcspn(accept, ",");
    }
    return false;
}

char *etag_put(char *out, int64_t revision, int64_t epoch)
{
    *out++ = '"';
    out = decimal_put(out, (uint64_t)revision);
    if (epoch > 0) {
        *out++ = '-';
        out = decimal_put(out, (uint64_t)epoch);
    }
    *out++ = '"';
    *out = '\0';
    return out;
}

void request_id(const struct request *r, char out[REQUEST_ID_MAX])
{
    size_t length = strlen(r->api->request_prefix);

    memcpy(out, r->api->request_prefix, length);
    out[length] = '-';
    decimal_put(out + length + 1, r->number);
}

static int64_t seconds_up(int64_t ns)
{
    return (ns + NS_PER_S - 1) / NS_PER_S;
}

static enum rate_class rate_class_of(const struct endpoint *e)
{
    size_t length = strlen(e->operation);

    if (e->method != METHOD_GET)
        return RATE_WRITE;
    return length > 5 && strcmp(e->operation + length - 5, ".list") == 0 ? RATE_LIST : RATE_READ;
}

// The tenants' operations take from the buckets of the project that they act on.
static int check_rate(struct request *r, struct error *err)
{
    const struct endpoint *e = r->endpoint;
    struct rate_view view;
    int result;

    if (!(e->flags & OF_PROJECT) || (e->flags & UNMETERED))
        return 0;
    result = cloud_rate_take(r->api->cloud, r->project, rate_class_of(e), &view, err);
    r->reply.rate = (struct rate_limit){view.limit, view.remaining, seconds_up(view.reset_ns)};
    if (result < 0)
        r->reply.retry_after_s = view.retry_after_ns > 0 ? seconds_up(view.retry_after_ns) : 1;
    return result;
}

int request_begin(struct request *r, const char *method_name, struct error *err)
{
    struct route_match match;
    enum method method = METHOD_GET;
    bool known = method_parse(method_name, &method, &r->head);
    int result = auth_check_origin(r, err);

    r->projects_ended = cloud_projects_ended(r->api->cloud);
    r->method = (int8_t)(known ? (int)method : -1);
    if (result < 0)
        return result;
    r->epoch = cloud_epoch(r->api->cloud);
    router_match(r->api->router, method, r->path.data, r->path.length, &match);
    if (match.allowed == 0) // not ERROR_NOT_FOUND: controllers forget what is "not found"
        return error_set(err, ERROR_NO_PATH, NULL, "no such path");
    if (!known || !match.endpoint) {
        r->reply.allowed = match.allowed;
        return error_set(err, ERROR_METHOD, NULL, "the path does not have this method");
    }
    r->endpoint = match.endpoint;
    memcpy(r->parameters, match.parameters, sizeof(r->parameters));
    result = auth_check_caller(r, err);
    return result < 0 ? result : check_rate(r, err);
}

// Bodies are JSON; a merge patch is JSON too.
static int check_content_type(const struct request *r, struct error *err)
{
    const char *type = r->headers.content_type ? r->headers.content_type : "";
    size_t length = strcspn(type, "; \t");
    static const char json[] = "application/json", patch[] = "application/merge-patch+json";

    if (length == strlen(json) && strncasecmp(type, json, length) == 0)
        return 0;
    if (r->endpoint->method == METHOD_PATCH && length == strlen(patch) &&
        strncasecmp(type, patch, length) == 0)
        return 0;
    return error_set(err, ERROR_MEDIA_TYPE, "Content-Type", "must be %s", json);
}

// Bodies are read as they come.
static int check_content_encoding(const struct request *r, struct error *err)
{
    const char *coding = r->headers.content_encoding;

    if ((r->body.length == 0 && !r->upload) || !coding || *coding == '\0' ||
        strcasecmp(coding, "identity") == 0)
        return 0;
    return error_set(err, ERROR_MEDIA_TYPE, "Content-Encoding", "must be identity, or not be sent");
}

int request_handle(struct request *r, struct error *err)
{
    const struct schema *schema = r->endpoint->body;
    bool absent = schema && schema->optional && r->body.length == 0;

    if (check_content_encoding(r, err) < 0)
        return -ERROR_MEDIA_TYPE;
    if (schema && !absent && check_content_type(r, err) < 0)
        return -ERROR_MEDIA_TYPE;
    r->reply.status = r->endpoint->status;
    return r->endpoint->handle(r, err);
}

void request_refuse(struct request *r, const struct error *err)
{
    char id[REQUEST_ID_MAX];

    buffer_clear(&r->reply.body);
    r->reply.fixed = NULL;
    r->reply.revision = 0;
    r->reply.location = NULL;
    r->reply.status = error_status(err->code);
    r->reply.content_type = PROBLEM_TYPE;
    request_id(r, id);
    problem_encode(err, id, &r->reply.body);
}

void request_set_source(struct request *r)
{
    r->source = (struct change_source){
        .method = method_names[r->endpoint->method],
        .project = r->endpoint->flags & OF_PROJECT ? r->project_name : NULL,
        .if_match = r->headers.if_match,
        .idempotency_key = r->headers.idempotency_key,
        .path = {r->path.data, r->path.length},
        .body = {r->body.data, r->body.length},
    };
    r->change->source = &r->source;
}

void request_set_fault(struct request *r, const char *id)
{
    if (r->fault[0] == '\0')
        snprintf(r->fault, sizeof(r->fault), "%s", id);
}

void request_fini(struct request *r)
{
    injection_fini(r);
    if (r->upload)
        unlink(r->upload);
    free(r->upload);
    if (r->reply.file > 0)
        close(r->reply.file);
    buffer_fini(&r->body);
    buffer_fini(&r->reply.body);
    change_free(r->change);
    arena_fini(&r->arena);
}

const char *request_parameter(struct request *r, size_t n, struct error *err)
{
    const char *text = percent_decode(&r->arena, r->parameters[n], false);

    if (!text)
        error_set(err, ERROR_INVALID, "path", "bad percent-encoding");
    return text;
}
