// Query strings: the first byte chooses the endpoint, the rest stands behind the '?'.
#include "api/query.h"
#include "tests/fuzz/fuzz.h"

static void check_page_token(const struct query *query, const char *token, size_t length)
{
    char made[PAGE_TOKEN_MAX];
    char *text = fuzz_string((const uint8_t *)token, length);
    int64_t after = -1;

    if (page_token_parse(text, query->fingerprint, &after, NULL) == 0)
        must(after >= 0);
    free(text);
    page_token_make(made, query->fingerprint, (int64_t)length + 1);
    must(page_token_parse(made, query->fingerprint, &after, NULL) == 0);
    must(after == (int64_t)length + 1);
}

static void check_states(const char *text)
{
    static const char *const names[] = {"pending", "running", "stopped", NULL};
    uint32_t mask = 0;

    if (states_parse(text, names, &mask, NULL) == 0)
        must(mask != 0 && mask < 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct endpoint *endpoint;
    struct error err = {0};
    struct arena arena;
    struct query query;
    char *text;

    if (size == 0)
        return 0;
    endpoint = &endpoints[data[0] % endpoint_count];
    text = malloc(size); // without a NUL: exactly the bytes that may be read
    must(text);
    memcpy(text, data + 1, size - 1);
    text = realloc(text, size > 1 ? size - 1 : 1);
    arena_init(&arena);
    if (query_parse(endpoint, (struct span){text, size - 1}, &arena, &query, &err) == 0) {
        must((query.given & ~endpoint->query) == 0);
        must(query.limit >= 1 && query.limit <= LIMIT_MAX && query.since >= 0 && query.after >= 0);
        if (query.values[QUERY_INDEX_STATE])
            check_states(query.values[QUERY_INDEX_STATE]);
        check_page_token(&query, text, size - 1);
    } else {
        must(err.code != ERROR_NONE && err.code != ERROR_INTERNAL && err.message[0]);
    }
    arena_fini(&arena);
    free(text);
    return 0;
}
