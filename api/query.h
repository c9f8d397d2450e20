// Query strings and page tokens. Unknown and repeated parameters are refused by name, percent
// encoding is read strictly.
#ifndef API_QUERY_H
#define API_QUERY_H

#include "api/endpoint.h"
#include "api/router.h"
#include "base/arena.h"
#include "sim/records.h"

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 10000
#define PAGE_TOKEN_MAX 64 // with the NUL

struct query {
    unsigned given; // QUERY_… bits
    int limit;
    int64_t since, until;
    int kind;                              // of events; -1: all
    int64_t after;                         // from page_token; 0: from the start
    const char *values[QUERY_INDEX_COUNT]; // decoded, NULL: not given; not of tags
    struct store_tag *tags;
    size_t tag_count;
    uint64_t fingerprint; // of endpoint and filters, in page tokens
};

// `allowed`: bits of the parameters that the endpoint takes. Strings are built in the arena.
int query_parse(const struct endpoint *endpoint, struct span text, struct arena *arena,
                struct query *out, struct error *err);
void page_token_make(char out[PAGE_TOKEN_MAX], uint64_t fingerprint, int64_t after);
int page_token_parse(const char *token, uint64_t fingerprint, int64_t *out_after,
                     struct error *err);
// "running,stopped" to a mask of 1 << index; `names` ends with NULL.
int states_parse(const char *text, const char *const *names, uint32_t *out, struct error *err);

// NULL when it is not well-formed: a bad escape, or NUL. `plus`: '+' is a space.
char *percent_decode(struct arena *arena, struct span text, bool plus);

#endif
