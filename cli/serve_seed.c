#include "cli/serve_seed.h"

#include "api/bodies.h"
#include "api/json_in.h"
#include "base/json_writer.h"
#include "sim/change.h"

#include <stdio.h>
#include <string.h>

// What was made so far, by name: later items of the file may say names for ids.
struct made {
    struct made *next;
    enum kind kind;
    const char *name, *id;
};

struct seeding {
    struct cloud *cloud;
    const char *path; // of the file
    struct arena arena;
    struct made *made;
    int64_t project;
};

// A list of the file: its key, the kind and how items become changes.
struct section {
    const char *key;
    enum kind kind;
    const char *operation;
    change_apply *apply;
    const struct schema *body;
};

static const struct section catalogue_sections[] = {
    {"zones", KIND_ZONE, "zones.put", zone_put, &body_zone_put},
    {"instance_types", KIND_INSTANCE_TYPE, "instance_types.put", instance_type_put,
     &body_instance_type_put}};

static const struct section resource_sections[] = {
    {"instances", KIND_INSTANCE, "instances.create", instance_create, &body_instance_create},
    {"target_pools", KIND_TARGET_POOL, "target_pools.create", target_pool_create,
     &body_target_pool_create},
    {"load_balancers", KIND_LOAD_BALANCER, "load_balancers.create", load_balancer_create,
     &body_load_balancer_create},
    {"routes", KIND_ROUTE, "routes.create", route_create, &body_route_create}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int fail(const struct seeding *s, const char *field, const char *message, struct error *err)
{
    return error_set(err, ERROR_INVALID, NULL, "%s: %s: %s", s->path, field, message);
}

static int fail_at(const struct seeding *s, const char *where, const struct error *inner,
                   struct error *err)
{
    const char *field = inner->field;
    size_t length = strlen(where);
    char path[192];

    if (strncmp(field, where, length) == 0) // the parser knows where it is
        return fail(s, field, inner->message, err);
    snprintf(path, sizeof(path), "%s%s%s", where, *field ? "." : "", field);
    return fail(s, path, inner->message, err);
}

static int apply(const struct seeding *s, struct change *c, const char *where, struct error *err)
{
    c->cause = CAUSE_SEED;
    if (cloud_apply(s->cloud, c) == 0)
        return 0;
    return fail_at(s, where, &c->error, err);
}

// --- catalogue ---

static int put_named(struct seeding *s, const struct section *section, const char *name,
                     const json_t *body, const char *where, struct error *err)
{
    struct change *c = change_new(section->apply, section->operation);
    struct error inner = {0};
    int result = 0;

    if (!c)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    c->id = name;
    if (json_in_value(section->body, body, where, &c->arena, &c->request, &inner) < 0)
        result = fail_at(s, where, &inner, err);
    if (result == 0)
        result = apply(s, c, where, err);
    change_free(c);
    return result;
}

// {"name": …, and the fields of the body}
static int put_item(struct seeding *s, const struct section *section, const json_t *item,
                    const char *where, struct error *err)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    json_t *body;
    int result;

    if (!name || !name_valid(name, strlen(name)))
        return fail_at(s, where, &(struct error){.field = "name", .message = "is not a valid name"},
                       err);
    body = json_copy((json_t *)(uintptr_t)item);
    json_object_del(body, "name");
    result = put_named(s, section, name, body, where, err);
    json_decref(body);
    return result;
}

static bool names(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *other = json_string_value(json_object_get(json_array_get(list, i), "name"));
        if (other && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

static bool exists(const struct seeding *s, enum kind kind, const char *name)
{
    struct buffer document = {0};
    int64_t revision;
    bool found = cloud_get(s->cloud, kind, 0, name, &document, &revision, NULL) == 0;

    buffer_fini(&document);
    return found;
}

// Removes the built-in ones that the list does not name.
static int remove_others(struct seeding *s, const struct section *section, const json_t *list,
                         struct error *err)
{
    static const struct {
        enum kind kind;
        const char *name;
    } built_in[] = {{KIND_ZONE, "mock-1a"},         {KIND_ZONE, "mock-1b"},
                    {KIND_ZONE, "mock-1c"},         {KIND_INSTANCE_TYPE, "small"},
                    {KIND_INSTANCE_TYPE, "medium"}, {KIND_INSTANCE_TYPE, "large"}};
    bool zone = section->kind == KIND_ZONE;
    int result = 0;

    for (size_t i = 0; i < COUNT(built_in) && result == 0; i++) {
        struct change *c;
        if (built_in[i].kind != section->kind || names(list, built_in[i].name) ||
            !exists(s, section->kind, built_in[i].name))
            continue;
        c = change_new(zone ? zone_delete : instance_type_delete,
                       zone ? "zones.delete" : "instance_types.delete");
        if (!c)
            return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
        c->id = built_in[i].name;
        result = apply(s, c, section->key, err);
        change_free(c);
    }
    return result;
}

static int put_section(struct seeding *s, const struct section *section, const json_t *document,
                       bool fresh, struct error *err)
{
    const json_t *list = json_object_get(document, section->key);
    int result = 0;

    if (!list)
        return 0;
    if (!json_is_array(list))
        return fail(s, section->key, "must be an array", err);
    for (size_t i = 0; i < json_array_size(list) && result == 0; i++) {
        char where[64];
        snprintf(where, sizeof(where), "%s[%zu]", section->key, i);
        result = put_item(s, section, json_array_get(list, i), where, err);
    }
    if (result == 0 && fresh && json_array_size(list) > 0)
        result = remove_others(s, section, list, err);
    return result;
}

static int put_latencies(struct seeding *s, const json_t *document, struct error *err)
{
    static const struct section section = {"latencies", KIND_LATENCY, "latencies.put", latency_put,
                                           &body_latency_put};
    const json_t *latencies = json_object_get(document, section.key);
    const char *transition;
    json_t *body;

    if (latencies && !json_is_object(latencies))
        return fail(s, section.key, "must be an object", err);
    json_object_foreach((json_t *)(uintptr_t)latencies, transition, body)
    {
        char where[96];
        int result;
        snprintf(where, sizeof(where), "latencies.%s", transition);
        result = put_named(s, &section, transition, body, where, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int put_catalogue(struct seeding *s, const json_t *document, bool fresh, struct error *err)
{
    int result = 0;

    for (size_t i = 0; i < COUNT(catalogue_sections) && result == 0; i++)
        result = put_section(s, &catalogue_sections[i], document, fresh, err);
    return result < 0 ? result : put_latencies(s, document, err);
}

int seed_catalogue(struct cloud *cloud, const json_t *document, const char *path, bool fresh,
                   struct error *err)
{
    struct seeding s = {.cloud = cloud, .path = path};

    return put_catalogue(&s, document, fresh, err);
}

// --- resources ---

static void resolve(const struct seeding *s, enum kind kind, const char **id)
{
    for (const struct made *m = s->made; *id && m; m = m->next)
        if (m->kind == kind && strcmp(m->name, *id) == 0) {
            *id = m->id;
            return;
        }
}

static void resolve_all(const struct seeding *s, struct change *c, enum kind kind)
{
    if (kind == KIND_TARGET_POOL) {
        struct target_pool_spec *pool = &c->request.target_pool;
        for (size_t i = 0; i < pool->target_count; i++)
            resolve(s, KIND_INSTANCE, &pool->targets[i].instance_id);
    } else if (kind == KIND_LOAD_BALANCER) {
        struct load_balancer_spec *balancer = &c->request.load_balancer;
        for (size_t i = 0; i < balancer->listener_count; i++)
            resolve(s, KIND_TARGET_POOL, &balancer->listeners[i].target_pool_id);
    } else if (kind == KIND_ROUTE) {
        resolve(s, KIND_INSTANCE, &c->request.route.next_hop_instance_id);
    }
}

// Every document that was made begins with id, project and name.
static void remember(struct seeding *s, enum kind kind, const struct change *c)
{
    struct buffer list = {0};
    json_t *documents;

    buffer_append_string(&list, "[");
    buffer_append(&list, c->document.data, c->document.length);
    buffer_append_string(&list, "]");
    documents = json_loadb(list.data, list.length, 0, NULL);
    for (size_t i = 0; i < json_array_size(documents); i++) {
        const json_t *document = json_array_get(documents, i);
        struct made *m = arena_alloc(&s->arena, sizeof(*m));
        m->kind = kind;
        m->id = arena_strdup(&s->arena, json_string_value(json_object_get(document, "id")));
        m->name = arena_strdup(&s->arena, json_string_value(json_object_get(document, "name")));
        m->next = s->made;
        s->made = m;
    }
    json_decref(documents);
    buffer_fini(&list);
}

static int create(struct seeding *s, const struct section *section, const json_t *body,
                  const char *where, struct error *err)
{
    struct change *c = change_new(section->apply, section->operation);
    struct error inner = {0};
    int result = 0;

    if (!c)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    c->project = s->project;
    c->project_name = "default";
    if (json_in_value(section->body, body, where, &c->arena, &c->request, &inner) < 0)
        result = fail_at(s, where, &inner, err);
    if (result == 0) {
        resolve_all(s, c, section->kind);
        result = apply(s, c, where, err);
    }
    if (result == 0)
        remember(s, section->kind, c);
    change_free(c);
    return result;
}

static int create_section(struct seeding *s, const struct section *section, const json_t *document,
                          struct error *err)
{
    const json_t *list = json_object_get(document, section->key);
    int result = 0;

    if (list && !json_is_array(list))
        return fail(s, section->key, "must be an array", err);
    for (size_t i = 0; i < json_array_size(list) && result == 0; i++) {
        char where[64];
        snprintf(where, sizeof(where), "%s[%zu]", section->key, i);
        result = create(s, section, json_array_get(list, i), where, err);
    }
    return result;
}

static bool known_key(const char *key)
{
    if (strcmp(key, "latencies") == 0)
        return true;
    for (size_t i = 0; i < COUNT(catalogue_sections); i++)
        if (strcmp(key, catalogue_sections[i].key) == 0)
            return true;
    for (size_t i = 0; i < COUNT(resource_sections); i++)
        if (strcmp(key, resource_sections[i].key) == 0)
            return true;
    return false;
}

static int check_keys(const struct seeding *s, const json_t *document, struct error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(document))
        return error_set(err, ERROR_INVALID, NULL, "%s: must be an object", s->path);
    json_object_foreach((json_t *)(uintptr_t)document, key, value)
    {
        if (!known_key(key))
            return fail(s, key, "no such key", err);
    }
    return 0;
}

int seed_apply(struct cloud *cloud, const json_t *document, const char *path, struct error *err)
{
    struct seeding s = {.cloud = cloud, .path = path};
    int result = check_keys(&s, document, err);

    arena_init(&s.arena);
    if (result == 0)
        result = cloud_project(cloud, "default", &s.project, err);
    if (result == 0)
        result = put_catalogue(&s, document, true, err);
    for (size_t i = 0; i < COUNT(resource_sections) && result == 0; i++)
        result = create_section(&s, &resource_sections[i], document, err);
    arena_fini(&s.arena);
    return result;
}
