// The shape of GCE's metadata server: /computeMetadata/v1/.
#include "api/metadata.h"
#include "api/metadata_tree.h"
#include "api/metadata_view.h"
#include "base/hash.h"
#include "base/timefmt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TIMEOUT_MAX 86400 // seconds

// --- the tree ---

static void add_interface(struct arena *a, struct tree *instance, const struct instance *i)
{
    struct tree *list = tree_add(a, instance, "network-interfaces", TREE_ARRAY);
    struct tree *nic = tree_add(a, list, "0", TREE_OBJECT);
    struct tree *configs = tree_add(a, nic, "access-configs", TREE_ARRAY);
    const char *external = view_address(i, ADDRESS_EXTERNAL, IP_V4), *v6;

    if (external) {
        struct tree *config = tree_add(a, configs, "0", TREE_OBJECT);
        tree_text(a, config, "external-ip", external);
        tree_text(a, config, "type", "ONE_TO_ONE_NAT");
    }
    tree_text(a, nic, "ip", view_address(i, ADDRESS_INTERNAL, IP_V4));
    v6 = view_address(i, ADDRESS_EXTERNAL, IP_V6);
    v6 = v6 ? v6 : view_address(i, ADDRESS_INTERNAL, IP_V6);
    if (v6) {
        struct tree *ipv6s = tree_add(a, nic, "ipv6s", TREE_ARRAY);
        tree_text(a, ipv6s, "0", v6);
    }
    tree_text(a, nic, "mac", view_mac(a, i));
    tree_text(a, nic, "network",
              arena_printf(a, "projects/%s/networks/default", view_project_number(a, i)));
}

static void add_scheduling(struct arena *a, struct tree *instance, const struct instance *i)
{
    struct tree *scheduling = tree_add(a, instance, "scheduling", TREE_OBJECT);
    bool spot = i->lifecycle == LIFECYCLE_SPOT;

    tree_text(a, scheduling, "automatic-restart", spot ? "FALSE" : "TRUE");
    tree_text(a, scheduling, "on-host-maintenance", spot ? "TERMINATE" : "MIGRATE");
    tree_text(a, scheduling, "preemptible", spot ? "TRUE" : "FALSE");
}

// Tags are key and value, as GCE's attributes; GCE's keys have no other characters.
static void add_attributes(struct arena *a, struct tree *instance, const struct instance *i)
{
    struct tree *attributes = tree_add(a, instance, "attributes", TREE_MAP);

    for (size_t k = 0; k < i->r.tag_count; k++) {
        const char *key = i->r.tags[k].key;
        size_t good = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_");
        if (good > 0 && key[good] == '\0')
            tree_text(a, attributes, key, i->r.tags[k].value);
    }
}

static const char *maintenance_event(const struct instance *i)
{
    const struct notice *n = view_maintenance(i);

    if (!n)
        return "NONE";
    return n->action == NOTICE_NONE ? "MIGRATE_ON_HOST_MAINTENANCE"
                                    : "TERMINATE_ON_HOST_MAINTENANCE";
}

static const char *hostname(const struct instance *i)
{
    const char *dns = view_address(i, ADDRESS_INTERNAL_DNS, 0);

    return dns ? dns : i->r.name;
}

static void add_instance(struct arena *a, struct tree *root, const struct instance *i)
{
    struct tree *instance = tree_add(a, root, "instance", TREE_OBJECT);
    const char *project = view_project_number(a, i);

    add_attributes(a, instance, i);
    tree_text(a, instance, "cpu-platform", "mockcloud");
    tree_text(a, instance, "description", "");
    tree_text(a, instance, "hostname", hostname(i));
    tree_raw(a, instance, "id", view_instance_number(a, i));
    tree_text(a, instance, "machine-type",
              arena_printf(a, "projects/%s/machineTypes/%s", project, i->type));
    tree_text(a, instance, "maintenance-event", maintenance_event(i));
    tree_text(a, instance, "name", i->r.name);
    add_interface(a, instance, i);
    tree_text(a, instance, "preempted", view_reclaim(i) ? "TRUE" : "FALSE");
    add_scheduling(a, instance, i);
    tree_raw(a, instance, "tags", "[]");
    tree_text(a, instance, "zone", arena_printf(a, "projects/%s/zones/%s", project, i->zone));
}

static const struct tree *make_tree(struct arena *a, const struct instance *i)
{
    struct tree *root = tree_new(a), *project;

    add_instance(a, root, i);
    project = tree_add(a, root, "project", TREE_OBJECT);
    tree_add(a, project, "attributes", TREE_MAP);
    tree_raw(a, project, "numeric-project-id", view_project_number(a, i));
    tree_text(a, project, "project-id", i->r.project_name);
    return root;
}

// --- rendering ---

static bool is_true(const char *text)
{
    return text && strcasecmp(text, "true") == 0;
}

static void render_json(const struct tree *node, bool recursive, struct buffer *out)
{
    struct json_writer w;

    jw_init(&w, out);
    if (recursive || tree_is_leaf(node)) {
        tree_json(node, true, &w);
        return;
    }
    jw_array_begin(&w);
    for (const struct tree *at = node->first; at; at = at->next)
        jw_string(&w, at->name);
    jw_array_end(&w);
}

// Leaves are text unless JSON is asked for, everything below a directory JSON unless text is.
static enum metadata_outcome render(struct metadata_request *r, const struct tree *node)
{
    const char *alt = metadata_parameter(r, "alt");
    bool recursive = is_true(metadata_parameter(r, "recursive"));
    bool json = recursive && !tree_is_leaf(node);

    if (alt && strcmp(alt, "json") != 0 && strcmp(alt, "text") != 0)
        return metadata_line(r, 400, "alt must be json or text");
    if (alt)
        json = strcmp(alt, "json") == 0;
    r->reply.status = 200;
    r->reply.content_type = json ? "application/json" : "application/text";
    if (json)
        render_json(node, recursive, &r->reply.body);
    else if (tree_is_leaf(node))
        buffer_append_string(&r->reply.body, node->text);
    else if (recursive)
        tree_lines(node, "", &r->reply.body);
    else
        tree_list(node, true, &r->reply.body);
    return METADATA_REPLY;
}

// --- waiting for a change ---

static const char *etag_of(struct arena *a, const struct buffer *body)
{
    return arena_printf(a, "%016" PRIx64, hash_bytes(HASH_START, body->data, body->length));
}

// The first time: what the caller says that it knows, or else what is so now.
static bool begin_waiting(struct metadata_request *r, const char *etag)
{
    const char *known = metadata_parameter(r, "last_etag");
    const char *timeout = metadata_parameter(r, "timeout_sec");
    size_t digits = timeout ? strspn(timeout, "0123456789") : 0;

    r->waiting.deadline_ns = INT64_MAX;
    if (timeout) {
        if (digits < 1 || digits > 9 || timeout[digits] != '\0') {
            metadata_line(r, 400, "timeout_sec must be a number of seconds");
            return false;
        }
        int64_t seconds = strtol(timeout, NULL, 10);
        seconds = seconds < TIMEOUT_MAX ? seconds : TIMEOUT_MAX;
        r->waiting.deadline_ns = clock_monotonic() + seconds * NS_PER_S;
    }
    r->waiting.etag = known ? known : etag;
    r->waiting.instance_id = r->instance->r.id;
    return true;
}

// `etag` is of what has just been rendered.
static enum metadata_outcome wait_or_reply(struct metadata_request *r, const char *etag)
{
    if (!is_true(metadata_parameter(r, "wait_for_change")))
        return METADATA_REPLY;
    if (!r->waiting.etag && !begin_waiting(r, etag))
        return METADATA_REPLY;
    if (strcmp(r->waiting.etag, etag) != 0 || clock_monotonic() >= r->waiting.deadline_ns)
        return METADATA_REPLY;
    return METADATA_WAIT;
}

// --- requests ---

static bool check_headers(struct metadata_request *r)
{
    const char *flavor = r->headers.gce_flavor;

    if (r->headers.forwarded_for) {
        metadata_line(r, 403, "X-Forwarded-For is not allowed");
        return false;
    }
    if (!flavor || strcasecmp(flavor, "Google") != 0) {
        metadata_line(r, 403, "the header Metadata-Flavor: Google is required");
        return false;
    }
    if (!metadata_is(r, "GET")) {
        metadata_line(r, 405, "only GET and HEAD");
        return false;
    }
    return true;
}

enum metadata_outcome gce_handle(struct metadata_request *r, const char *path)
{
    const struct tree *node;
    const char *etag;

    metadata_header_add(r, "Metadata-Flavor", "Google");
    metadata_header_add(r, "Server", "Metadata Server for VM");
    if (*path == '\0') {
        metadata_line(r, 200, "v1/");
        return METADATA_REPLY;
    }
    if (!check_headers(r))
        return METADATA_REPLY;
    if (strncmp(path, "v1", 2) != 0 || (path[2] != '/' && path[2] != '\0'))
        return metadata_line(r, 404, "there is no version but v1");
    path += path[2] == '/' ? 3 : 2;
    node = tree_find(make_tree(&r->arena, r->instance), path);
    if (!node)
        return metadata_line(r, 404, "there is no %s", path);
    render(r, node);
    if (r->reply.status != 200)
        return METADATA_REPLY;
    etag = etag_of(&r->arena, &r->reply.body);
    metadata_header_add(r, "ETag", etag);
    return wait_or_reply(r, etag);
}
