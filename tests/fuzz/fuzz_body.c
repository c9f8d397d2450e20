// Bodies: the first byte chooses one of the operations that take one, the rest is its JSON.
#include "api/endpoint.h"
#include "api/json_in.h"
#include "tests/fuzz/fuzz.h"

#define ROOM                                                             \
    (sizeof(((struct change *)0)->request) > sizeof(struct clock_change) \
         ? sizeof(((struct change *)0)->request)                         \
         : sizeof(struct clock_change))

static const struct schema *choose(uint8_t byte)
{
    const struct schema *schemas[ENDPOINT_MAX];
    size_t count = 0;

    for (size_t i = 0; i < endpoint_count; i++)
        if (endpoints[i].body)
            schemas[count++] = endpoints[i].body;
    must(count > 0);
    return schemas[byte % count];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct arena arena;
    void *object;
    char *text;

    if (size == 0)
        return 0;
    text = malloc(size); // without a NUL: exactly the bytes that may be read
    object = calloc(1, ROOM);
    must(text && object);
    memcpy(text, data + 1, size - 1);
    text = realloc(text, size > 1 ? size - 1 : 1);
    arena_init(&arena);
    if (json_in_body(choose(data[0]), text, size - 1, &arena, object, &err) < 0)
        must(err.code != ERROR_NONE && err.code != ERROR_INTERNAL && err.message[0]);
    arena_fini(&arena);
    free(object);
    free(text);
    return 0;
}
