// The shape of Azure's instance metadata service: /metadata/instance and /metadata/scheduledevents.
#include "api/json_in.h"
#include "api/metadata.h"
#include "api/metadata_tree.h"
#include "api/metadata_view.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define JSON_TYPE "application/json; charset=utf-8"

static const char *const versions[] = {"2017-08-01", "2017-12-01", "2018-02-01", "2018-10-01",
                                       "2019-02-01", "2019-03-11", "2019-06-01", "2019-08-01",
                                       "2019-11-01", "2020-06-01", "2020-07-01", "2020-09-01",
                                       "2020-12-01", "2021-01-01", "2021-02-01", NULL};

static enum metadata_outcome fail(struct metadata_request *r, int status, const char *message)
{
    struct json_writer w;

    buffer_clear(&r->reply.body);
    jw_init(&w, &r->reply.body);
    jw_object_begin(&w);
    jw_field_string(&w, "error", message);
    jw_object_end(&w);
    r->reply.status = status;
    r->reply.content_type = JSON_TYPE;
    return METADATA_REPLY;
}

// --- the document of the instance ---

static void add_tags(struct arena *a, struct tree *compute, const struct instance *i)
{
    struct tree *list;
    const char *joined = "";

    for (size_t k = 0; k < i->r.tag_count; k++)
        joined = arena_printf(a, "%s%s%s:%s", joined, *joined ? ";" : "", i->r.tags[k].key,
                              i->r.tags[k].value);
    tree_text(a, compute, "tags", joined);
    list = tree_add(a, compute, "tagsList", TREE_ARRAY);
    for (size_t k = 0; k < i->r.tag_count; k++) {
        struct tree *tag;

        tag = tree_add(a, list, arena_printf(a, "%zu", k), TREE_OBJECT);
        tree_text(a, tag, "name", i->r.tags[k].key);
        tree_text(a, tag, "value", i->r.tags[k].value);
    }
}

static void add_compute(struct arena *a, struct tree *root, const struct instance *i)
{
    struct tree *compute = tree_add(a, root, "compute", TREE_OBJECT);
    const char *subscription = view_guid(a, i->r.project_name);

    tree_text(a, compute, "azEnvironment", "AzurePublicCloud");
    tree_text(a, compute, "location", i->region);
    tree_text(a, compute, "name", i->r.name);
    tree_text(a, compute, "osType", "Linux");
    tree_text(a, compute, "priority", i->lifecycle == LIFECYCLE_SPOT ? "Spot" : "Regular");
    tree_text(a, compute, "provider", "Microsoft.Compute");
    tree_text(a, compute, "resourceGroupName", i->r.project_name);
    tree_text(a, compute, "resourceId",
              arena_printf(a,
                           "/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Compute/"
                           "virtualMachines/%s",
                           subscription, i->r.project_name, i->r.name));
    tree_text(a, compute, "subscriptionId", subscription);
    add_tags(a, compute, i);
    tree_text(a, compute, "vmId", view_guid(a, i->r.id));
    tree_text(a, compute, "vmScaleSetName", "");
    tree_text(a, compute, "vmSize", i->type);
    tree_text(a, compute, "zone", i->zone);
}

// Private and public addresses of a family, paired by their places.
static void add_addresses(struct arena *a, struct tree *interface, const struct instance *i,
                          int family)
{
    struct tree *part = tree_add(a, interface, family == IP_V4 ? "ipv4" : "ipv6", TREE_OBJECT);
    struct tree *list = tree_add(a, part, "ipAddress", TREE_ARRAY);

    for (size_t n = 0; n < i->address_count; n++) {
        const char *internal = view_address_at(i, ADDRESS_INTERNAL, family, n);
        const char *external = view_address_at(i, ADDRESS_EXTERNAL, family, n);
        struct tree *pair;

        if (!internal && !external)
            return;
        pair = tree_add(a, list, arena_printf(a, "%zu", n), TREE_OBJECT);
        tree_text(a, pair, "privateIpAddress", internal ? internal : "");
        tree_text(a, pair, "publicIpAddress", external ? external : "");
    }
}

// 02:00:5e:… as 02005E…
static const char *plain_mac(struct arena *a, const struct instance *i)
{
    const char *mac = view_mac(a, i);
    char *out = arena_strdup(a, mac), *end = out;

    for (; *mac; mac++)
        if (*mac != ':')
            *end++ = (char)toupper((unsigned char)*mac);
    *end = '\0';
    return out;
}

static const struct tree *make_tree(struct arena *a, const struct instance *i)
{
    struct tree *root = tree_new(a), *list, *interface;

    add_compute(a, root, i);
    list = tree_add(a, tree_add(a, root, "network", TREE_OBJECT), "interface", TREE_ARRAY);
    interface = tree_add(a, list, "0", TREE_OBJECT);
    add_addresses(a, interface, i, IP_V4);
    add_addresses(a, interface, i, IP_V6);
    tree_text(a, interface, "macAddress", plain_mac(a, i));
    return root;
}

static enum metadata_outcome give_instance(struct metadata_request *r, const char *path)
{
    const struct tree *node = tree_find(make_tree(&r->arena, r->instance), path);
    const char *format = metadata_parameter(r, "format");
    bool text = format && strcasecmp(format, "text") == 0;
    struct json_writer w;

    if (!metadata_is(r, "GET"))
        return fail(r, 405, "Method not allowed");
    if (!node)
        return fail(r, 404, "Not found");
    if (tree_is_leaf(node) != text)
        return fail(r, 400,
                    text ? "Bad request. format=text is for single values"
                         : "Bad request. A single value needs format=text");
    r->reply.status = 200;
    if (text) {
        buffer_append_string(&r->reply.body, node->text);
        return METADATA_REPLY;
    }
    jw_init(&w, &r->reply.body);
    tree_json(node, false, &w);
    r->reply.content_type = JSON_TYPE;
    return METADATA_REPLY;
}

// --- scheduled events ---

// Upper case, as Azure writes event ids.
static const char *event_id(struct arena *a, const struct notice *n)
{
    char *id = arena_strdup(a, view_guid(a, n->id));

    for (char *at = id; *at; at++)
        *at = (char)toupper((unsigned char)*at);
    return id;
}

static const char *event_type(const struct notice *n)
{
    static const char *const types[NOTICE_ACTIONS] = {[NOTICE_NONE] = "Freeze",
                                                      [NOTICE_REBOOT] = "Reboot",
                                                      [NOTICE_STOP] = "Redeploy",
                                                      [NOTICE_TERMINATE] = "Terminate"};

    return n->kind == NOTICE_MAINTENANCE ? types[n->action] : "Preempt";
}

// Azure knows nothing like a recommendation to rebalance.
static bool is_event(const struct notice *n)
{
    return notice_open(n) && n->kind != NOTICE_REBALANCE;
}

static void put_event(struct arena *a, const struct instance *i, const struct notice *n,
                      struct json_writer *w)
{
    bool scheduled = n->state == NOTICE_SCHEDULED;

    jw_object_begin(w);
    jw_field_string(w, "EventId", event_id(a, n));
    jw_field_string(w, "EventType", event_type(n));
    jw_field_string(w, "ResourceType", "VirtualMachine");
    jw_key(w, "Resources");
    jw_array_begin(w);
    jw_string(w, i->r.name);
    jw_array_end(w);
    jw_field_string(w, "EventStatus", scheduled ? "Scheduled" : "Started");
    jw_field_string(w, "NotBefore", scheduled ? view_time(a, VIEW_RFC1123, n->deadline_ns) : "");
    jw_field_string(w, "Description",
                    n->kind == NOTICE_MAINTENANCE ? "Host maintenance"
                                                  : "Capacity is needed elsewhere");
    jw_field_string(w, "EventSource", "Platform");
    jw_field_int(w, "DurationInSeconds", n->action == NOTICE_NONE ? 5 : -1);
    jw_object_end(w);
}

static enum metadata_outcome give_events(struct metadata_request *r)
{
    const struct instance *i = r->instance;
    struct json_writer w;

    jw_init(&w, &r->reply.body);
    jw_object_begin(&w);
    jw_field_int(&w, "DocumentIncarnation", i->notice_serial);
    jw_key(&w, "Events");
    jw_array_begin(&w);
    for (size_t k = 0; k < i->notice_count; k++)
        if (is_event(&i->notices[k]))
            put_event(&r->arena, i, &i->notices[k], &w);
    jw_array_end(&w);
    jw_object_end(&w);
    r->reply.status = 200;
    r->reply.content_type = JSON_TYPE;
    return METADATA_REPLY;
}

// --- acknowledging one ---

static const char *wanted_event(struct metadata_request *r)
{
    const json_t *first;
    const char *id;
    json_t *body;

    if (json_in_load(r->body.data ? r->body.data : "", r->body.length, &body, NULL) < 0)
        return NULL;
    first = json_array_get(json_object_get(body, "StartRequests"), 0);
    id = json_string_value(json_object_get(first, "EventId"));
    id = arena_strdup(&r->arena, id);
    json_decref(body);
    return id;
}

static enum metadata_outcome acknowledge(struct metadata_request *r)
{
    const char *id = wanted_event(r);
    const struct instance *i = r->instance;

    if (!id)
        return fail(r, 400, "Bad request. The body must be {\"StartRequests\":[{\"EventId\":…}]}");
    for (size_t k = 0; k < i->notice_count; k++) {
        const struct notice *n = &i->notices[k];

        if (!is_event(n) || strcasecmp(event_id(&r->arena, n), id) != 0)
            continue;
        r->change = change_new(instance_acknowledge, "metadata.start_request");
        if (!r->change)
            return fail(r, 500, "out of memory");
        r->change->cause = CAUSE_API;
        r->change->project = i->r.project;
        r->change->project_name = arena_strdup(&r->change->arena, i->r.project_name);
        r->change->id = arena_strdup(&r->change->arena, i->r.id);
        r->change->request.acknowledge.notice_id = arena_strdup(&r->change->arena, n->id);
        return METADATA_CHANGE;
    }
    return fail(r, 400, "Bad request. No scheduled event has that EventId");
}

void azure_answer(struct metadata_request *r)
{
    const struct error *err = &r->change->error;

    if (err->code == ERROR_NOT_FOUND)
        fail(r, 400, "Bad request. No scheduled event has that EventId");
    else if (err->code != ERROR_NONE)
        fail(r, error_status(err->code), err->message);
    else
        r->reply.status = 200;
}

// --- requests ---

static bool check_version(struct metadata_request *r)
{
    const char *given = metadata_parameter(r, "api-version");
    struct json_writer w;

    for (size_t k = 0; given && versions[k]; k++)
        if (strcmp(versions[k], given) == 0)
            return true;
    jw_init(&w, &r->reply.body);
    jw_object_begin(&w);
    jw_field_string(&w, "error",
                    "Bad request. api-version is invalid or was not specified in the request.");
    jw_key(&w, "newest-versions");
    jw_array_begin(&w);
    for (size_t k = sizeof(versions) / sizeof(versions[0]) - 1; k-- > 0;)
        jw_string(&w, versions[k]);
    jw_array_end(&w);
    jw_object_end(&w);
    r->reply.status = 400;
    r->reply.content_type = JSON_TYPE;
    return false;
}

static bool check_headers(struct metadata_request *r)
{
    const char *metadata = r->headers.azure_metadata;

    if (r->headers.forwarded_for) {
        fail(r, 400, "Bad request. X-Forwarded-For is not allowed");
        return false;
    }
    if (!metadata || strcasecmp(metadata, "true") != 0) {
        fail(r, 400, "Bad request. Required metadata header not specified");
        return false;
    }
    return check_version(r);
}

enum metadata_outcome azure_handle(struct metadata_request *r, const char *path)
{
    size_t length = strcspn(path, "/");
    const char *below = path + length + (path[length] == '/');

    metadata_header_add(r, "Server", "IMDS");
    if (!check_headers(r))
        return METADATA_REPLY;
    if (length == 8 && strncmp(path, "instance", 8) == 0)
        return give_instance(r, below);
    if (length != 15 || strncmp(path, "scheduledevents", 15) != 0 || *below)
        return fail(r, 404, "Not found");
    if (metadata_is(r, "POST"))
        return acknowledge(r);
    return metadata_is(r, "GET") ? give_events(r) : fail(r, 405, "Method not allowed");
}
