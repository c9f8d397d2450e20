// Routing: "METHOD path" against the whole table of endpoints.
#include "api/router.h"
#include "base/arena.h"
#include "tests/fuzz/fuzz.h"

#include "api/query.h"

static void check_parameter(struct span parameter, const char *path, size_t length)
{
    struct arena arena;

    must(parameter.data >= path && parameter.data + parameter.length <= path + length);
    must(memchr(parameter.data, '/', parameter.length) == NULL);
    arena_init(&arena);
    for (int plus = 0; plus < 2; plus++) {
        const char *decoded = percent_decode(&arena, parameter, plus);
        must(!decoded || strlen(decoded) <= parameter.length);
    }
    arena_fini(&arena);
}

static void check_match(const struct router *router, enum method method, const char *path,
                        size_t length)
{
    struct route_match match;

    router_match(router, method, path, length, &match);
    if (match.endpoint) {
        must(match.endpoint >= endpoints && match.endpoint < endpoints + endpoint_count);
        must(match.endpoint->method == method);
        must(match.allowed & 1U << method);
        must(match.parameter_count <= ROUTE_PARAMETERS);
        for (size_t i = 0; i < match.parameter_count; i++)
            check_parameter(match.parameters[i], path, length);
    } else {
        must(!(match.allowed & 1U << method));
    }
    must(match.allowed < 1U << METHOD_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct router *router;
    char *text = fuzz_string(data, size);
    char *space = strchr(text, ' ');
    enum method method;
    bool head = false;

    if (!router)
        router = router_new(endpoints, endpoint_count);
    must(router);
    if (space)
        *space = '\0';
    if (method_parse(text, &method, &head)) {
        size_t start = space ? (size_t)(space + 1 - text) : strlen(text);
        char *path = malloc(size - start + 1); // without a NUL: exactly the bytes that may be read
        must(path && method < METHOD_COUNT && (!head || method == METHOD_GET));
        memcpy(path, data + start, size - start);
        path = realloc(path, size - start ? size - start : 1);
        check_match(router, method, path, size - start);
        free(path);
    }
    free(text);
    return 0;
}
