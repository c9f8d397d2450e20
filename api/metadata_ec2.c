// The shape of EC2's instance metadata service: paths under /latest and dated versions.
#include "api/metadata.h"
#include "api/metadata_token.h"
#include "api/metadata_tree.h"
#include "api/metadata_view.h"
#include "base/timefmt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TTL_HEADER "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"

// --- session tokens ---

static bool parse_ttl(const char *text, int64_t *out)
{
    size_t digits = text ? strspn(text, "0123456789") : 0;

    if (digits < 1 || digits > 5 || text[digits] != '\0')
        return false;
    *out = strtol(text, NULL, 10);
    return *out >= 1 && *out <= METADATA_TOKEN_TTL_MAX;
}

// A request that a proxy has passed on gets no token, as on EC2.
static enum metadata_outcome give_token(struct metadata_request *r)
{
    char token[METADATA_TOKEN_MAX];
    int64_t ttl;

    if (r->headers.forwarded_for)
        return metadata_line(r, 403, "X-Forwarded-For is not allowed");
    if (!parse_ttl(r->headers.ec2_ttl, &ttl))
        return metadata_line(r, 400, "%s must be 1 to %d", TTL_HEADER, METADATA_TOKEN_TTL_MAX);
    metadata_token_make(r->service->secret, r->instance->r.id,
                        cloud_now(r->service->cloud) + ttl * NS_PER_S, token);
    metadata_header_add(r, TTL_HEADER, arena_printf(&r->arena, "%" PRId64, ttl));
    buffer_append_string(&r->reply.body, token);
    r->reply.status = 200;
    return METADATA_REPLY;
}

static bool check_token(struct metadata_request *r)
{
    const char *token = r->headers.ec2_token;
    int64_t left;

    if (!token && !r->service->tokens_required)
        return true;
    left = token ? metadata_token_left(r->service->secret, r->instance->r.id, token,
                                       cloud_now(r->service->cloud))
                 : 0;
    if (left == 0) {
        metadata_line(r, 401,
                      token ? "the token is not valid, or not any more"
                            : "a token is required: PUT /latest/api/token");
        return false;
    }
    metadata_header_add(r, TTL_HEADER,
                        arena_printf(&r->arena, "%" PRId64, (left + NS_PER_S - 1) / NS_PER_S));
    return true;
}

// --- notices ---

static const char *spot_action(struct arena *a, const struct notice *n)
{
    return arena_printf(a, "{\"action\":\"%s\",\"time\":\"%s\"}",
                        n->action == NOTICE_STOP ? "stop" : "terminate",
                        view_time(a, VIEW_ISO, n->deadline_ns));
}

static void add_spot(struct arena *a, struct tree *data, const struct instance *i)
{
    const struct notice *n = view_reclaim(i);
    struct tree *spot;

    if (!n)
        return;
    spot = tree_add(a, data, "spot", TREE_OBJECT);
    tree_text(a, spot, "instance-action", spot_action(a, n));
    if (n->action == NOTICE_TERMINATE)
        tree_text(a, spot, "termination-time", view_time(a, VIEW_ISO, n->deadline_ns));
}

static void put_event(struct arena *a, const struct notice *n, struct json_writer *w)
{
    static const char *const codes[NOTICE_ACTIONS] = {[NOTICE_NONE] = "system-maintenance",
                                                      [NOTICE_REBOOT] = "system-reboot",
                                                      [NOTICE_STOP] = "instance-stop",
                                                      [NOTICE_TERMINATE] = "instance-retirement"};
    static const char *const states[NOTICE_STATES] = {[NOTICE_SCHEDULED] = "active",
                                                      [NOTICE_STARTED] = "active",
                                                      [NOTICE_COMPLETED] = "completed",
                                                      [NOTICE_CANCELED] = "canceled"};
    static const char *const prefixes[NOTICE_STATES] = {
        [NOTICE_COMPLETED] = "[Completed] ", [NOTICE_CANCELED] = "[Canceled] "};
    static const char *const texts[NOTICE_ACTIONS] = {[NOTICE_NONE] = "scheduled maintenance",
                                                      [NOTICE_REBOOT] = "scheduled reboot",
                                                      [NOTICE_STOP] = "scheduled stop",
                                                      [NOTICE_TERMINATE] = "scheduled retirement"};
    int64_t end_ns = n->ended_ns ? n->ended_ns : n->deadline_ns + 2 * 3600 * NS_PER_S;

    jw_object_begin(w);
    jw_field_string(w, "NotBefore", view_time(a, VIEW_EC2, n->deadline_ns));
    jw_field_string(w, "Code", codes[n->action]);
    jw_field_string(
        w, "Description",
        arena_printf(a, "%s%s", prefixes[n->state] ? prefixes[n->state] : "", texts[n->action]));
    jw_field_string(w, "EventId",
                    arena_printf(a, "instance-event-%s", n->id + strcspn(n->id, "-") + 1));
    jw_field_string(w, "NotAfter", view_time(a, VIEW_EC2, end_ns));
    jw_field_string(w, "State", states[n->state]);
    jw_object_end(w);
}

// An array, also of nothing.
static const char *maintenance_events(struct arena *a, const struct instance *i, bool open)
{
    struct buffer out = {0};
    struct json_writer w;
    const char *text;

    jw_init(&w, &out);
    jw_array_begin(&w);
    for (size_t k = 0; k < i->notice_count; k++) {
        if (i->notices[k].kind == NOTICE_MAINTENANCE && notice_open(&i->notices[k]) == open)
            put_event(a, &i->notices[k], &w);
    }
    jw_array_end(&w);
    text = arena_strndup(a, out.data ? out.data : "[]", out.data ? out.length : 2);
    buffer_fini(&out);
    return text;
}

static void add_events(struct arena *a, struct tree *data, const struct instance *i)
{
    struct tree *events = tree_add(a, data, "events", TREE_OBJECT);
    struct tree *maintenance = tree_add(a, events, "maintenance", TREE_OBJECT);
    const struct notice *n = view_rebalance(i);

    tree_text(a, maintenance, "history", maintenance_events(a, i, false));
    tree_text(a, maintenance, "scheduled", maintenance_events(a, i, true));
    if (n) {
        struct tree *recommendations = tree_add(a, events, "recommendations", TREE_OBJECT);
        tree_text(a, recommendations, "rebalance",
                  arena_printf(a, "{\"noticeTime\":\"%s\"}", view_time(a, VIEW_ISO, n->issued_ns)));
    }
}

// Where the instance is bound for, as far as an Auto Scaling group would say.
static const char *target_state(const struct instance *i)
{
    bool ending = i->r.state == INSTANCE_TERMINATING;

    for (size_t k = 0; k < i->notice_count; k++)
        ending = ending || (i->notices[k].state == NOTICE_STARTED &&
                            i->notices[k].action == NOTICE_TERMINATE);
    return ending ? "Terminated" : "InService";
}

// --- the network ---

static const char *joined(struct arena *a, const struct instance *i, enum address_type type,
                          int family)
{
    const char *all = NULL;

    for (size_t n = 0; n < i->address_count; n++) {
        const char *text = view_address_at(i, type, family, n);
        if (text)
            all = all ? arena_printf(a, "%s\n%s", all, text) : text;
    }
    return all;
}

static const char *any_v6(const struct instance *i)
{
    const char *external = view_address(i, ADDRESS_EXTERNAL, IP_V6);

    return external ? external : view_address(i, ADDRESS_INTERNAL, IP_V6);
}

static const char *local_hostname(const struct instance *i)
{
    const char *dns = view_address(i, ADDRESS_INTERNAL_DNS, 0);

    dns = dns ? dns : view_address(i, ADDRESS_HOSTNAME, 0);
    return dns ? dns : i->r.name;
}

static void add_network(struct arena *a, struct tree *data, const struct instance *i)
{
    struct tree *network = tree_add(a, data, "network", TREE_OBJECT);
    struct tree *interfaces = tree_add(a, network, "interfaces", TREE_OBJECT);
    struct tree *macs = tree_add(a, interfaces, "macs", TREE_MAP);
    struct tree *mac = tree_add(a, macs, view_mac(a, i), TREE_OBJECT);
    const char *v6 = joined(a, i, ADDRESS_INTERNAL, IP_V6);

    tree_text(a, mac, "device-number", "0");
    tree_text(a, mac, "interface-id",
              arena_printf(a, "eni-0%016" PRIx64, view_hash(i->r.id, VIEW_INTERFACE)));
    tree_text(a, mac, "ipv6s", v6 ? v6 : joined(a, i, ADDRESS_EXTERNAL, IP_V6));
    tree_text(a, mac, "local-hostname", local_hostname(i));
    tree_text(a, mac, "local-ipv4s", joined(a, i, ADDRESS_INTERNAL, IP_V4));
    tree_text(a, mac, "mac", view_mac(a, i));
    tree_text(a, mac, "owner-id", view_project_number(a, i));
    tree_text(a, mac, "public-hostname", view_address(i, ADDRESS_EXTERNAL_DNS, 0));
    tree_text(a, mac, "public-ipv4s", joined(a, i, ADDRESS_EXTERNAL, IP_V4));
}

// --- the tree ---

// mock-1a as mock-1-az1; other names as they are.
static const char *zone_id(struct arena *a, const struct instance *i)
{
    size_t length = strlen(i->region);
    const char *letter = strncmp(i->zone, i->region, length) == 0 ? i->zone + length : "";

    if (letter[0] < 'a' || letter[0] > 'z' || letter[1] != '\0')
        return i->zone;
    return arena_printf(a, "%s-az%d", i->region, letter[0] - 'a' + 1);
}

static void add_placement(struct arena *a, struct tree *data, const struct instance *i)
{
    struct tree *placement = tree_add(a, data, "placement", TREE_OBJECT);

    tree_text(a, placement, "availability-zone", i->zone);
    tree_text(a, placement, "availability-zone-id", zone_id(a, i));
    tree_text(a, placement, "region", i->region);
}

// EC2 keeps tags with a slash or a space in the key out of the metadata.
static void add_tags(struct arena *a, struct tree *data, const struct instance *i)
{
    struct tree *instance =
        tree_add(a, tree_add(a, data, "tags", TREE_OBJECT), "instance", TREE_MAP);

    for (size_t k = 0; k < i->r.tag_count; k++) {
        if (!strpbrk(i->r.tags[k].key, "/ ") && i->r.tags[k].key[0])
            tree_text(a, instance, i->r.tags[k].key, i->r.tags[k].value);
    }
}

static const char *image_id(struct arena *a, const struct instance *i)
{
    static const char *const backends[] = {"none", "virtual-node"};
    const char *name = (size_t)i->backend < 2 ? backends[i->backend] : "other";

    return arena_printf(a, "ami-0%016" PRIx64, view_hash(name, VIEW_IMAGE));
}

// In the order of the alphabet, as EC2 lists them.
static void add_data(struct arena *a, struct tree *root, const struct instance *i)
{
    struct tree *data = tree_add(a, root, "meta-data", TREE_OBJECT);
    struct tree *group, *services;

    tree_text(a, data, "ami-id", image_id(a, i));
    tree_text(a, data, "ami-launch-index", "0");
    group = tree_add(a, data, "autoscaling", TREE_OBJECT);
    tree_text(a, group, "target-lifecycle-state", target_state(i));
    add_events(a, data, i);
    tree_text(a, data, "hostname", local_hostname(i));
    tree_text(a, data, "instance-action", "none");
    tree_text(a, data, "instance-id", i->r.id);
    tree_text(a, data, "instance-life-cycle",
              i->lifecycle == LIFECYCLE_SPOT ? "spot" : "on-demand");
    tree_text(a, data, "instance-type", i->type);
    tree_text(a, data, "ipv6", any_v6(i));
    tree_text(a, data, "local-hostname", local_hostname(i));
    tree_text(a, data, "local-ipv4", view_address(i, ADDRESS_INTERNAL, IP_V4));
    tree_text(a, data, "mac", view_mac(a, i));
    add_network(a, data, i);
    add_placement(a, data, i);
    tree_text(a, data, "public-hostname", view_address(i, ADDRESS_EXTERNAL_DNS, 0));
    tree_text(a, data, "public-ipv4", view_address(i, ADDRESS_EXTERNAL, IP_V4));
    services = tree_add(a, data, "services", TREE_OBJECT);
    tree_text(a, services, "domain", "amazonaws.com");
    tree_text(a, services, "partition", "aws");
    add_spot(a, data, i);
    add_tags(a, data, i);
}

static const char *identity_document(struct arena *a, const struct instance *i)
{
    struct buffer out = {0};
    struct json_writer w;
    const char *text, *ip = view_address(i, ADDRESS_INTERNAL, IP_V4);

    jw_init(&w, &out);
    jw_object_begin(&w);
    jw_field_string(&w, "accountId", view_project_number(a, i));
    jw_field_string(&w, "architecture", "x86_64");
    jw_field_string(&w, "availabilityZone", i->zone);
    jw_field_string(&w, "imageId", image_id(a, i));
    jw_field_string(&w, "instanceId", i->r.id);
    jw_field_string(&w, "instanceType", i->type);
    jw_field_string(&w, "pendingTime", view_time(a, VIEW_ISO, i->r.created_ns));
    jw_field_string(&w, "privateIp", ip ? ip : "");
    jw_field_string(&w, "region", i->region);
    jw_field_string(&w, "version", "2017-09-30");
    jw_object_end(&w);
    text = out.data ? arena_strndup(a, out.data, out.length) : "{}";
    buffer_fini(&out);
    return text;
}

static const struct tree *make_tree(struct arena *a, const struct instance *i)
{
    struct tree *root = tree_new(a);
    struct tree *identity =
        tree_add(a, tree_add(a, root, "dynamic", TREE_OBJECT), "instance-identity", TREE_OBJECT);

    tree_text(a, identity, "document", identity_document(a, i));
    add_data(a, root, i);
    return root;
}

enum metadata_outcome ec2_handle(struct metadata_request *r, const char *path)
{
    const struct tree *node;

    if (metadata_is(r, "PUT") && strcmp(path, "api/token") == 0)
        return give_token(r);
    if (!metadata_is(r, "GET"))
        return metadata_line(r, 405, "only GET, HEAD, and PUT of /latest/api/token");
    if (!check_token(r))
        return METADATA_REPLY;
    node = tree_find(make_tree(&r->arena, r->instance), path);
    if (!node)
        return metadata_line(r, 404, "there is no %s", path);
    if (tree_is_leaf(node))
        buffer_append_string(&r->reply.body, node->text);
    else
        tree_list(node, false, &r->reply.body);
    r->reply.status = 200;
    return METADATA_REPLY;
}
