// From a method and a path to an endpoint: a trie of path segments, built once, then read by all.
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include "api/endpoint.h"

#include <stdbool.h>

#define ROUTE_PARAMETERS 2

struct span { // borrowed bytes, not terminated
    const char *data;
    size_t length;
};

struct route_match {
    const struct endpoint *endpoint; // NULL: the path is unknown, or not with this method
    unsigned allowed; // methods that the path knows (bit = 1 << method); 0: unknown path
    size_t parameter_count;
    struct span parameters[ROUTE_PARAMETERS]; // still percent-encoded
};

struct router; // opaque

struct router *router_new(const struct endpoint *table, size_t count); // NULL: out of memory
void router_free(struct router *router);                               // NULL allowed
// `path` is what stands before '?' in the request target.
void router_match(const struct router *router, enum method method, const char *path, size_t length,
                  struct route_match *out);
// GET for HEAD too (sets *out_head); false: no method of ours.
bool method_parse(const char *name, enum method *out, bool *out_head);

#endif
