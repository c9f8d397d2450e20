#include "api/metadata.h"

#include "api/auth.h"
#include "api/query.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// --- replies ---

void metadata_header_add(struct metadata_request *r, const char *name, const char *value)
{
    if (r->reply.header_count < METADATA_HEADERS_MAX)
        r->reply.headers[r->reply.header_count++] = (struct metadata_header){name, value};
}

enum metadata_outcome metadata_line(struct metadata_request *r, int status, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buffer_clear(&r->reply.body);
    buffer_append_string(&r->reply.body, text);
    buffer_append_string(&r->reply.body, "\n");
    r->reply.status = status;
    r->reply.content_type = NULL;
    return METADATA_REPLY;
}

bool metadata_is(const struct metadata_request *r, const char *method)
{
    return strcmp(r->method, method) == 0;
}

const char *metadata_parameter(struct metadata_request *r, const char *name)
{
    const char *at = r->query.data, *end = at + r->query.length;
    size_t length = strlen(name);

    while (r->query.length > 0 && at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        size_t whole = (size_t)((stop ? stop : end) - at);

        if (whole == length && memcmp(at, name, length) == 0)
            return "";
        if (whole > length && memcmp(at, name, length) == 0 && at[length] == '=')
            return percent_decode(&r->arena, (struct span){at + length + 1, whole - length - 1},
                                  true);
        at += whole + 1;
    }
    return NULL;
}

// --- who asks ---

// The next segment of a path, in the arena; moves *path behind it and its slash.
static const char *take_segment(struct metadata_request *r, const char **path)
{
    size_t length = strcspn(*path, "/");
    const char *segment = arena_strndup(&r->arena, *path, length);

    *path += length + ((*path)[length] == '/');
    return segment;
}

static bool refuse_by(struct metadata_request *r, const struct error *err)
{
    metadata_line(r, error_status(err->code), "%s", err->message);
    return false;
}

static bool accept(struct metadata_request *r)
{
    if (r->instance->r.state != INSTANCE_TERMINATED)
        return true;
    metadata_line(r, 404, "instance %s is terminated", r->instance->r.id);
    return false;
}

static bool identify_by_name(struct metadata_request *r, const char *project, const char *ref)
{
    struct error err = {0};
    int64_t number = 0;

    if (project && cloud_project(r->service->cloud, project, &number, NULL) < 0) {
        metadata_line(r, 404, "project %s does not exist", project);
        return false;
    }
    if (cloud_instance_named(r->service->cloud, number, ref, &r->arena, &r->instance, &err) < 0) {
        if (err.code == ERROR_INVALID)
            metadata_line(r, 404, "%s: ask by id, or as /project/PROJECT/instance/%s/...",
                          err.message, ref);
        return err.code == ERROR_INVALID ? false : refuse_by(r, &err);
    }
    return accept(r);
}

static bool identify_by_address(struct metadata_request *r)
{
    struct error err = {0};
    char text[IP_TEXT_MAX] = "";
    int rc = cloud_instance_at(r->service->cloud, &r->peer, &r->arena, &r->instance, &err);

    if (rc < 0)
        return refuse_by(r, &err);
    if (rc == 1)
        return accept(r);
    if (r->peer.family)
        ip_format(&r->peer, text);
    metadata_line(r, 404,
                  "no instance has the address %s that this request comes from: give one that "
                  "address, or ask as /instance/NAME/latest/meta-data/",
                  text);
    return false;
}

bool metadata_identify(struct metadata_request *r)
{
    const char *project = NULL, *at = r->rest;

    if (strncmp(at, "project/", 8) == 0) {
        at += 8;
        project = take_segment(r, &at);
        if (strncmp(at, "instance/", 9) != 0) {
            metadata_line(r, 404, "/project/PROJECT/ is followed by instance/NAME/");
            return false;
        }
    }
    if (strncmp(at, "instance/", 9) == 0) {
        const char *ref;

        at += 9;
        ref = take_segment(r, &at);
        r->rest = at;
        return identify_by_name(r, project, ref);
    }
    return identify_by_address(r);
}

// --- from where ---

static bool is_ip_literal(const char *host)
{
    char text[64];
    size_t length = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
    struct ip ip;

    if (host[0] == '[') {
        host++;
        length--;
    }
    if (length == 0 || length >= sizeof(text))
        return false;
    memcpy(text, host, length);
    text[length] = '\0';
    return ip_parse(text, &ip, NULL) == 0;
}

// A name that a web page could have made to resolve to us is refused; pages cannot choose an
// address as their name, and the services' own names are not theirs.
static bool check_host(struct metadata_request *r)
{
    static const char *const own[] = {"localhost", "metadata.google.internal", "metadata",
                                      "instance-data", NULL};
    const struct metadata_headers *h = &r->headers;

    if (h->origin) {
        metadata_line(r, 403, "requests from web pages are refused");
        return false;
    }
    if (!h->host || is_ip_literal(h->host) || host_allowed(h->host, own) ||
        host_allowed(h->host, r->service->allowed_hosts))
        return true;
    metadata_line(r, 421, "this server does not answer for that host; see --allowed-host");
    return false;
}

// --- the roots ---

static bool is_version(const char *segment)
{
    size_t digits = strspn(segment, "0123456789-.");

    return digits >= 3 && digits <= 10 && segment[digits] == '\0';
}

// SDKs ask here whether they are on GCE.
static enum metadata_outcome index_of_roots(struct metadata_request *r)
{
    metadata_header_add(r, "Metadata-Flavor", "Google");
    metadata_line(r, 200, "computeMetadata/\nlatest\nmetadata/");
    r->reply.body.length--;
    return METADATA_REPLY;
}

static enum metadata_outcome dispatch(struct metadata_request *r)
{
    const char *at = r->rest;
    const char *root = take_segment(r, &at);

    if (strcmp(root, "computeMetadata") == 0)
        return gce_handle(r, at);
    if (strcmp(root, "metadata") == 0)
        return azure_handle(r, at);
    if (strcmp(root, "latest") == 0 || is_version(root))
        return ec2_handle(r, at);
    return metadata_line(r, 404, "there is no /%s here: /latest/, /computeMetadata/, /metadata/",
                         root);
}

enum metadata_outcome metadata_handle(struct metadata_request *r)
{
    const char *path = percent_decode(&r->arena, r->path, false);

    r->reply.header_count = 0;
    buffer_clear(&r->reply.body);
    if (!path || path[0] != '/')
        return metadata_line(r, 400, "the path is not well-formed");
    if (!check_host(r))
        return METADATA_REPLY;
    if (strcmp(path, "/") == 0)
        return index_of_roots(r);
    r->rest = path + 1;
    r->waiting.revision = cloud_revision(r->service->cloud);
    return metadata_identify(r) ? dispatch(r) : METADATA_REPLY;
}

void metadata_answer(struct metadata_request *r)
{
    azure_answer(r); // nobody else asks for changes
}

void metadata_request_fini(struct metadata_request *r)
{
    buffer_fini(&r->body);
    buffer_fini(&r->reply.body);
    change_free(r->change);
    arena_fini(&r->arena);
}
