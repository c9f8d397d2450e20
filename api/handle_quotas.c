// Quotas as a tenant sees them, with what is used.
#include "api/handlers.h"
#include "api/request.h"

static int show(struct request *r, int64_t project, const char *name, struct error *err)
{
    if (r->query.length > 0)
        return error_set(err, ERROR_UNKNOWN_FIELD, "query", "this operation has no parameters");
    cloud_quotas_encode(r->api->cloud, project, name, &r->reply.body);
    return 0;
}

int handle_own_quotas(struct request *r, struct error *err)
{
    return show(r, r->project, r->project_name, err);
}

int handle_quotas(struct request *r, struct error *err)
{
    const char *name = request_parameter(r, 0, err);
    int64_t project;
    int result = name ? cloud_project(r->api->cloud, name, &project, err) : -ERROR_INVALID;

    return result < 0 ? result : show(r, project, name, err);
}

// Answered from memory; that there is such a zone, the database says.
int handle_zone_capacity(struct request *r, struct error *err)
{
    const char *zone = request_parameter(r, 0, err);
    struct buffer document = {0};
    int64_t revision;
    int result = zone ? cloud_get(r->api->cloud, KIND_ZONE, 0, zone, &document, &revision, err)
                      : -ERROR_INVALID;

    buffer_fini(&document);
    if (result >= 0 && r->query.length > 0)
        result = error_set(err, ERROR_UNKNOWN_FIELD, "query", "this operation has no parameters");
    if (result >= 0)
        cloud_capacity_encode(r->api->cloud, zone, &r->reply.body);
    return result;
}
