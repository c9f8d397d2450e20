#include "api/documents.h"

#include <string.h>

json_t *document_parse(struct bytes document)
{
    return document.data ? json_loadb(document.data, document.length, 0, NULL) : NULL;
}

static const char *text_of(const json_t *document, const char *key)
{
    return json_string_value(json_object_get(document, key));
}

// Kinds that go by their names have no id in their documents.
void document_target(const json_t *document, enum kind kind, struct arena *arena,
                     struct fault_target *out)
{
    json_t *tags = json_object_get(document, "tags");
    const char *id = text_of(document, "id"), *name = text_of(document, "name"), *key;
    struct store_tag *list = arena_alloc(arena, (json_object_size(tags) + 1) * sizeof(*list));
    size_t count = 0;
    json_t *value;

    json_object_foreach(tags, key, value) list[count++] =
        (struct store_tag){key, json_string_value(value)};
    *out = (struct fault_target){
        .kind = (int)kind,
        .id = id ? id : name,
        .name = name,
        .zone = text_of(document, "zone"),
        .type = text_of(document, "type"),
        .state = text_of(document, "state"),
        .tags = list,
        .tag_count = count,
    };
}

static bool is_one_of(const char *list, const char *text)
{
    size_t length = strlen(text);

    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == length && memcmp(at, text, length) == 0)
            return true;
    return false;
}

static bool has(const json_t *document, const char *key, const char *wanted)
{
    const char *text = text_of(document, key);

    return !wanted || (text && strcmp(text, wanted) == 0);
}

bool document_matches(const json_t *document, const struct query *q)
{
    const char *states = q->values[QUERY_INDEX_STATE], *state = text_of(document, "state");
    const json_t *tags = json_object_get(document, "tags");

    for (size_t i = 0; i < q->tag_count; i++)
        if (!has(tags, q->tags[i].key, q->tags[i].value))
            return false;
    return has(document, "name", q->values[QUERY_INDEX_NAME]) &&
           has(document, "zone", q->values[QUERY_INDEX_ZONE]) &&
           has(document, "type", q->values[QUERY_INDEX_TYPE]) &&
           has(document, "lifecycle", q->values[QUERY_INDEX_LIFECYCLE]) &&
           has(document, "network", q->values[QUERY_INDEX_NETWORK]) &&
           (!states || (state && is_one_of(states, state)));
}

static int append(const char *bytes, size_t length, void *out)
{
    buffer_append(out, bytes, length);
    return 0;
}

int document_put(const json_t *document, struct buffer *out, struct error *err)
{
    if (json_dump_callback(document, append, out, JSON_COMPACT) < 0 || out->failed)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    return 0;
}
