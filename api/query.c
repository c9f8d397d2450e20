#include "api/query.h"

#include "base/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const parameter_names[QUERY_INDEX_COUNT] = {
#define X(id, name) name,
    QUERY_PARAMETERS(X)
#undef X
};

#define VALUE_MAX 253

static const char *const lifecycles[] = {"on-demand", "spot", NULL};

// --- percent encoding ---

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Returns how many bytes of `at` make the next byte, 0 when they are not well-formed.
static size_t decode_byte(const char *at, size_t length, bool plus, char *out)
{
    int high, low;

    *out = plus && *at == '+' ? ' ' : *at;
    if (*at != '%')
        return 1;
    if (length < 3)
        return 0;
    high = hex_digit(at[1]);
    low = hex_digit(at[2]);
    *out = (char)(high * 16 + low);
    return high < 0 || low < 0 ? 0 : 3;
}

char *percent_decode(struct arena *arena, struct span text, bool plus)
{
    char *out = arena_alloc(arena, text.length + 1);
    size_t used = 0;

    for (size_t i = 0; i < text.length;) {
        size_t taken = decode_byte(text.data + i, text.length - i, plus, &out[used]);
        if (taken == 0 || out[used] == '\0')
            return NULL;
        used++;
        i += taken;
    }
    out[used] = '\0';
    return out;
}

// --- single values ---

static int parse_number(const char *name, const char *text, int64_t minimum, int64_t maximum,
                        int64_t *out, struct error *err)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < minimum ||
        value > maximum)
        return error_set(err, ERROR_INVALID, name,
                         "must be an integer from %" PRId64 " to %" PRId64, minimum, maximum);
    *out = value;
    return 0;
}

static int index_of(const char *const *names, const char *text, size_t length)
{
    for (int i = 0; names[i]; i++)
        if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0)
            return i;
    return -1;
}

int states_parse(const char *text, const char *const *names, uint32_t *out, struct error *err)
{
    uint32_t mask = 0;

    for (;;) {
        size_t length = strcspn(text, ",");
        int index = index_of(names, text, length);
        if (index < 0)
            return error_set(err, ERROR_INVALID, "state", "no such state: %.*s", (int)length, text);
        mask |= UINT32_C(1) << index;
        if (text[length] == '\0')
            break;
        text += length + 1;
    }
    *out = mask;
    return 0;
}

// --- page tokens ---

// Both numbers in hexadecimal. The fingerprint keeps a token with the list that gave it.
void page_token_make(char out[PAGE_TOKEN_MAX], uint64_t fingerprint, int64_t after)
{
    snprintf(out, PAGE_TOKEN_MAX, "%016" PRIx64 "%" PRIx64, fingerprint, (uint64_t)after);
}

int page_token_parse(const char *token, uint64_t fingerprint, int64_t *out_after, struct error *err)
{
    size_t length = strlen(token);
    uint64_t after = 0;
    char expected[PAGE_TOKEN_MAX];

    if (length > 16 && length <= 32)
        after = strtoull(token + 16, NULL, 16);
    page_token_make(expected, fingerprint, (int64_t)after);
    if (after == 0 || after > INT64_MAX || strcmp(expected, token) != 0)
        return error_set(err, ERROR_INVALID, "page_token",
                         "is not one that this list with these filters gave");
    *out_after = (int64_t)after;
    return 0;
}

// Of everything that selects.
static uint64_t fingerprint_of(const struct endpoint *endpoint, const struct query *q)
{
    uint64_t hash = hash_text(HASH_START, endpoint->operation);

    for (int i = 0; i < QUERY_INDEX_COUNT; i++)
        if (q->values[i] && i != QUERY_INDEX_LIMIT && i != QUERY_INDEX_PAGE_TOKEN) {
            hash = hash_text(hash, parameter_names[i]);
            hash = hash_text(hash, q->values[i]);
        }
    for (size_t i = 0; i < q->tag_count; i++) {
        hash = hash_text(hash, q->tags[i].key);
        hash = hash_text(hash, q->tags[i].value);
    }
    return hash;
}

// --- the whole ---

static int add_tag(struct query *q, const char *name, const char *value, struct error *err)
{
    const char *key = name + strlen("tag.");

    if (*key == '\0')
        return error_set(err, ERROR_INVALID, name, "names no tag");
    for (size_t i = 0; i < q->tag_count; i++)
        if (strcmp(q->tags[i].key, key) == 0)
            return error_set(err, ERROR_INVALID, name, "is given twice");
    q->tags[q->tag_count++] = (struct store_tag){key, value};
    return 0;
}

static int add_parameter(struct query *q, unsigned allowed, const char *name, const char *value,
                         struct error *err)
{
    if ((allowed & QUERY_TAGS) && strncmp(name, "tag.", 4) == 0)
        return add_tag(q, name, value, err);
    for (int i = 0; i < QUERY_INDEX_TAGS; i++) {
        if (!(allowed & (1U << i)) || strcmp(name, parameter_names[i]) != 0)
            continue;
        if (q->values[i])
            return error_set(err, ERROR_INVALID, name, "is given twice");
        if (strlen(value) > VALUE_MAX)
            return error_set(err, ERROR_INVALID, name, "must have at most %d bytes", VALUE_MAX);
        q->values[i] = value;
        q->given |= 1U << i;
        return 0;
    }
    return error_set(err, ERROR_UNKNOWN_FIELD, name, "no such parameter");
}

static int split(struct query *q, unsigned allowed, struct span text, struct arena *arena,
                 struct error *err)
{
    const char *at = text.data, *end = text.data + text.length;

    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        const char *equals;
        char *name, *value;

        stop = stop ? stop : end;
        if (stop == at) { // "a=1&&b=2"
            at++;
            continue;
        }
        equals = memchr(at, '=', (size_t)(stop - at));
        equals = equals ? equals : stop;
        name = percent_decode(arena, (struct span){at, (size_t)(equals - at)}, true);
        at = equals < stop ? equals + 1 : stop;
        value = percent_decode(arena, (struct span){at, (size_t)(stop - at)}, true);
        if (!name || !value)
            return error_set(err, ERROR_INVALID, name ? name : "query", "bad percent-encoding");
        if (add_parameter(q, allowed, name, value, err) < 0)
            return -ERROR_INVALID;
        at = stop < end ? stop + 1 : end;
    }
    return 0;
}

static int interpret_numbers(struct query *q, struct error *err)
{
    const char *limit = q->values[QUERY_INDEX_LIMIT], *since = q->values[QUERY_INDEX_SINCE];
    const char *until = q->values[QUERY_INDEX_UNTIL];
    int64_t number = LIMIT_DEFAULT;

    if (limit && parse_number("limit", limit, 1, LIMIT_MAX, &number, err) < 0)
        return -ERROR_INVALID;
    q->limit = (int)number;
    if (since && parse_number("since", since, 0, INT64_MAX, &q->since, err) < 0)
        return -ERROR_INVALID;
    return until ? parse_number("until", until, 0, INT64_MAX, &q->until, err) : 0;
}

static int interpret(const struct endpoint *endpoint, struct query *q, struct error *err)
{
    const char *lifecycle = q->values[QUERY_INDEX_LIFECYCLE], *kind = q->values[QUERY_INDEX_KIND];
    const char *token = q->values[QUERY_INDEX_PAGE_TOKEN];
    enum kind parsed;

    if (interpret_numbers(q, err) < 0)
        return -ERROR_INVALID;
    if (lifecycle && index_of(lifecycles, lifecycle, strlen(lifecycle)) < 0)
        return error_set(err, ERROR_INVALID, "lifecycle", "must be one of on-demand, spot");
    if (kind && kind_parse(kind, &parsed, NULL) < 0)
        return error_set(err, ERROR_INVALID, "kind", "no such kind of resource: %s", kind);
    q->kind = kind ? (int)parsed : -1;
    q->fingerprint = fingerprint_of(endpoint, q);
    return token ? page_token_parse(token, q->fingerprint, &q->after, err) : 0;
}

int query_parse(const struct endpoint *endpoint, struct span text, struct arena *arena,
                struct query *out, struct error *err)
{
    size_t most = 1;

    *out = (struct query){.limit = LIMIT_DEFAULT, .kind = -1};
    for (size_t i = 0; i < text.length; i++)
        most += text.data[i] == '&';
    if (text.length > 0)
        out->tags = arena_alloc(arena, most * sizeof(*out->tags));
    if (split(out, endpoint->query, text, arena, err) < 0)
        return -ERROR_INVALID;
    return interpret(endpoint, out, err);
}
