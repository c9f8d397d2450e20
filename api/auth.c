#include "api/auth.h"

#include <string.h>
#include <strings.h>

// --- host and origin ---

static bool port_valid(const char *port)
{
    long number = 0;
    size_t length = strspn(port, "0123456789");

    if (length == 0 || length > 5 || port[length] != '\0')
        return false;
    for (size_t i = 0; i < length; i++)
        number = number * 10 + (port[i] - '0');
    return number >= 1 && number <= 65535;
}

// Splits "name:port"; *out_port is "" when there is none. 0: not well-formed.
static size_t split_host(const char *host, const char **out_port)
{
    size_t length = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    if (length > strlen(host))
        return 0;
    *out_port = "";
    if (host[length] == '\0')
        return length;
    if (host[length] != ':' || !port_valid(host + length + 1))
        return 0;
    *out_port = host + length + 1;
    return length;
}

bool host_allowed(const char *host, const char *const *allowed)
{
    const char *port;
    size_t length = split_host(host, &port);

    for (; length > 0 && *allowed; allowed++)
        if (strlen(*allowed) == length && strncasecmp(*allowed, host, length) == 0)
            return true;
    return false;
}

bool origin_allowed(const char *origin, const char *host, const char *const *allowed)
{
    const char *authority = strstr(origin, "://");
    const char *origin_port, *host_port;

    if (!authority ||
        (strncasecmp(origin, "http:", 5) != 0 && strncasecmp(origin, "https:", 6) != 0))
        return false;
    authority += strlen("://");
    return host_allowed(authority, allowed) && split_host(authority, &origin_port) > 0 &&
           split_host(host, &host_port) > 0 && strcmp(origin_port, host_port) == 0;
}

int auth_check_origin(const struct request *r, struct error *err)
{
    const struct headers *h = &r->headers;

    if (!h->host)
        return error_set(err, ERROR_INVALID, "Host", "the header is required");
    if (!host_allowed(h->host, r->api->allowed_hosts))
        return error_set(err, ERROR_MISDIRECTED, "Host",
                         "this server does not answer for that host; see --allowed-host");
    if (h->origin && !origin_allowed(h->origin, h->host, r->api->allowed_hosts))
        return error_set(err, ERROR_FORBIDDEN, "Origin", "requests from other sites are refused");
    return 0;
}

// --- caller ---

static int check_token(struct request *r, struct error *err)
{
    static const char scheme[] = "Bearer ";
    const char *value = r->headers.authorization;

    if (!value || strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
        return error_set(err, ERROR_UNAUTHORIZED, "Authorization", "a bearer token is required");
    value += sizeof(scheme) - 1;
    return cloud_authenticate(r->api->cloud, value, strlen(value), &r->who, err);
}

// X-Mockcloud-Project. A wrong name is the caller's mistake and no 404: a controller that asks for
// an instance must never take that for the instance being gone.
static int choose_project(struct request *r, struct error *err)
{
    const char *name = r->headers.project;

    r->project = r->who.project;
    r->project_name = r->who.project_name;
    if (!name || strcmp(name, r->who.project_name) == 0)
        return 0;
    if (r->who.scope != SCOPE_SIM)
        return error_set(err, ERROR_FORBIDDEN, "X-Mockcloud-Project",
                         "only a token of scope sim may act on another project");
    if (cloud_project(r->api->cloud, name, &r->project, NULL) < 0)
        return error_set(err, ERROR_INVALID, "X-Mockcloud-Project", "no such project");
    r->project_name = name;
    return 0;
}

int auth_check_caller(struct request *r, struct error *err)
{
    const struct endpoint *e = r->endpoint;
    int result;

    if (e->access == ACCESS_PUBLIC)
        return 0;
    result = check_token(r, err);
    if (result < 0)
        return result;
    if (e->access == ACCESS_SIM && r->who.scope != SCOPE_SIM)
        return error_set(err, ERROR_FORBIDDEN, "Authorization",
                         "this operation needs a token of scope sim");
    return e->flags & OF_PROJECT ? choose_project(r, err) : 0;
}
