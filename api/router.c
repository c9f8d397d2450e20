#include "api/router.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// The children of a node are its literal segments in a list (the table has at most a dozen under
// one node, told apart by length and first byte) and one for a parameter. Literals win.
struct node {
    const char *segment; // points into the table
    size_t length;
    struct node *sibling;
    struct node *children;
    struct node *parameter;
    const struct endpoint *endpoints[METHOD_COUNT];
    unsigned methods;
};

struct router {
    struct node root;
};

const char *const method_names[METHOD_COUNT] = {
#define X(name) #name,
    METHODS(X)
#undef X
};

bool method_parse(const char *name, enum method *out, bool *out_head)
{
    *out_head = strcmp(name, "HEAD") == 0;
    if (*out_head)
        name = "GET";
    for (int i = 0; i < METHOD_COUNT; i++)
        if (strcmp(name, method_names[i]) == 0) {
            *out = (enum method)i;
            return true;
        }
    return false;
}

static struct node *literal_child(const struct node *node, const char *segment, size_t length)
{
    struct node *child = node->children;

    while (child && (child->length != length || memcmp(child->segment, segment, length) != 0))
        child = child->sibling;
    return child;
}

static struct node *node_add(struct node *parent, const char *segment, size_t length)
{
    bool parameter = segment[0] == '{';
    struct node *node = parameter ? parent->parameter : literal_child(parent, segment, length);

    if (node)
        return node;
    node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->segment = segment;
    node->length = length;
    if (parameter) {
        parent->parameter = node;
    } else {
        node->sibling = parent->children;
        parent->children = node;
    }
    return node;
}

static bool router_add(struct router *router, const struct endpoint *endpoint)
{
    struct node *node = &router->root;
    const char *at = endpoint->path;

    while (node && *at == '/') {
        size_t length = strcspn(at + 1, "/");
        node = node_add(node, at + 1, length);
        at += 1 + length;
    }
    if (!node)
        return false;
    assert(!node->endpoints[endpoint->method]);
    node->endpoints[endpoint->method] = endpoint;
    node->methods |= 1U << endpoint->method;
    return true;
}

struct router *router_new(const struct endpoint *table, size_t count)
{
    struct router *router = calloc(1, sizeof(*router));

    for (size_t i = 0; router && i < count; i++)
        if (!router_add(router, &table[i])) {
            router_free(router);
            router = NULL;
        }
    return router;
}

static void node_free(struct node *node)
{
    while (node) {
        struct node *next = node->sibling;
        node_free(node->children);
        node_free(node->parameter);
        free(node);
        node = next;
    }
}

void router_free(struct router *router)
{
    if (!router)
        return;
    node_free(router->root.children);
    node_free(router->root.parameter);
    free(router);
}

static const struct node *descend(const struct node *node, const char *segment, size_t length,
                                  struct route_match *out)
{
    const struct node *child = literal_child(node, segment, length);

    if (child || !node->parameter || length == 0 || out->parameter_count == ROUTE_PARAMETERS)
        return child;
    out->parameters[out->parameter_count++] = (struct span){segment, length};
    return node->parameter;
}

void router_match(const struct router *router, enum method method, const char *path, size_t length,
                  struct route_match *out)
{
    const char *end = path + length;
    const struct node *node = &router->root;

    *out = (struct route_match){0};
    if (length == 0 || *path != '/')
        return;
    while (node && path < end) {
        const char *segment = path + 1;
        const char *slash = memchr(segment, '/', (size_t)(end - segment));
        path = slash ? slash : end;
        node = descend(node, segment, (size_t)(path - segment), out);
    }
    if (!node)
        return;
    out->allowed = node->methods;
    out->endpoint = node->endpoints[method];
}
