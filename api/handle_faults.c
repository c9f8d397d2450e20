// Fault rules over HTTP: what the rule's project means, and the counters as they are now.
#include "api/bodies_fault.h"
#include "api/handlers.h"
#include "api/query.h"
#include "api/request.h"

static int set_project(struct request *r, const char *name, const char *field, struct error *err)
{
    struct change *c = r->change;

    if (!name)
        return 0;
    if (cloud_project(r->api->cloud, name, &c->project, NULL) < 0)
        return error_set(err, ERROR_INVALID, field, "no such project: %s", name);
    c->project_name = arena_strdup(&c->arena, name);
    return 0;
}

int handle_fault_create(struct request *r, struct error *err)
{
    int result = handle_change(r, err);

    return result < 0 ? result
                      : set_project(r, r->change->request.fault.project, "match.project", err);
}

int handle_fault_update(struct request *r, struct error *err)
{
    int result = handle_change(r, err);

    if (result >= 0)
        fault_patch_set(r->change, (struct bytes){r->body.data, r->body.length});
    return result;
}

int handle_faults_clear(struct request *r, struct error *err)
{
    struct query q;
    int result = query_parse(r->endpoint, r->query, &r->arena, &q, err);

    if (result >= 0)
        result = handle_change(r, err);
    return result < 0 ? result : set_project(r, q.values[QUERY_INDEX_PROJECT], "project", err);
}

int handle_fault_stats(struct request *r, struct error *err)
{
    const char *id = request_parameter(r, 0, err);

    return id ? fault_stats(r->api->cloud, id, &r->reply.body, err) : -ERROR_INVALID;
}
