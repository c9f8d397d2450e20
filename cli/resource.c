#include "cli/resource.h"
#include "base/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 1000
#define ID_DIGITS 17

bool resource_is_id(const char *text)
{
    size_t prefix = strspn(text, "abcdefghijklmnopqrstuvwxyz");

    return prefix > 0 && prefix <= 5 && text[prefix] == '-' &&
           strspn(text + prefix + 1, "0123456789abcdef") == ID_DIGITS &&
           text[prefix + 1 + ID_DIGITS] == '\0';
}

const char *resource_key(const struct kind *kind, const json_t *document)
{
    const char *key = json_string_value(json_object_get(document, kind->key));

    return key != NULL ? key : "";
}

const char *resource_name(const struct kind *kind, const json_t *document)
{
    const char *name = json_string_value(json_object_get(document, "name"));

    return name != NULL ? name : resource_key(kind, document);
}

static int get_page(struct http *h, const struct kind *kind, const char *query, const char *token,
                    int64_t limit, json_t **out, struct failure *f)
{
    struct buffer path;
    char *text;
    int rc;

    buffer_init(&path);
    buffer_printf(&path, "%s?limit=%" PRId64, kind->path, limit);
    if (query[0] != '\0')
        buffer_printf(&path, "&%s", query);
    if (token != NULL) {
        buffer_append_string(&path, "&page_token=");
        http_escape(&path, token);
    }
    text = buffer_take(&path, NULL);
    rc = text != NULL ? http_get(h, text, out, f) : fail(f, EXIT_REFUSED, "out of memory");
    free(text);
    return rc;
}

static bool takes_limit(const struct kind *kind)
{
    return kind != &kind_region && kind != &kind_latency;
}

static int first_page(struct http *h, const struct kind *kind, const char *query, int64_t limit,
                      json_t **out, struct failure *f)
{
    if (!takes_limit(kind))
        return http_get(h, kind->path, out, f);
    return get_page(h, kind, query, NULL, limit > 0 && limit < PAGE ? limit : PAGE, out, f);
}

// Moves the items of a page over; *out_token is the token of the next page or NULL, owned.
static int take_page(json_t *page, struct resource_list *list, int64_t limit, char **out_token,
                     struct failure *f)
{
    json_t *items = json_object_get(page, "items");
    const char *token = json_string_value(json_object_get(page, "next_page_token"));
    json_t *item;
    size_t i;

    *out_token = NULL;
    if (!json_is_array(items))
        return fail(f, EXIT_REFUSED, "the server answered without items; is it mockcloud?");
    json_array_foreach(items, i, item)
    {
        if (limit > 0 && json_array_size(list->items) >= (size_t)limit)
            return EXIT_OK;
        json_array_append(list->items, item);
    }
    if (token != NULL && (limit == 0 || json_array_size(list->items) < (size_t)limit))
        *out_token = strdup(token);
    return EXIT_OK;
}

int resource_list(struct http *h, const struct kind *kind, const char *query, int64_t limit,
                  struct resource_list *out, struct failure *f)
{
    struct resource_list list = {.items = json_array()};
    json_t *page = NULL;
    char *token = NULL;
    int rc = first_page(h, kind, query, limit, &page, f);

    if (rc == EXIT_OK) {
        list.revision = json_integer_value(json_object_get(page, "revision"));
        rc = take_page(page, &list, limit, &token, f);
    }
    while (rc == EXIT_OK && token != NULL) {
        json_decref(page);
        page = NULL;
        rc = get_page(h, kind, query, token, PAGE, &page, f);
        free(token);
        token = NULL;
        if (rc == EXIT_OK)
            rc = take_page(page, &list, limit, &token, f);
    }
    json_decref(page);
    free(token);
    if (rc != EXIT_OK) {
        json_decref(list.items);
        return rc;
    }
    *out = list;
    return EXIT_OK;
}

int resource_revision(struct http *h, const struct kind *kind, int64_t *out, struct failure *f)
{
    struct resource_list list;
    int rc = resource_list(h, kind, "", 1, &list, f);

    if (rc == EXIT_OK) {
        *out = list.revision;
        json_decref(list.items);
    }
    return rc;
}

static bool is_alive(const json_t *document)
{
    const char *state = json_string_value(json_object_get(document, "state"));

    return state == NULL || (strcmp(state, "terminated") != 0 && strcmp(state, "deleted") != 0);
}

static int several(const struct kind *kind, const char *name, const json_t *items,
                   struct failure *f)
{
    char ids[512] = "";
    size_t used = 0, i;
    json_t *item;

    json_array_foreach(items, i, item)
    {
        int n = snprintf(ids + used, sizeof ids - used, "%s%s", i > 0 ? ", " : "",
                         resource_key(kind, item));

        if (n < 0 || (size_t)n >= sizeof ids - used)
            break;
        used += (size_t)n;
    }
    return fail(f, EXIT_CONFLICT, "%zu %ss are named '%s', use an id: %s", json_array_size(items),
                kind->noun, name, ids);
}

// Of several with one name, the only one that lives.
static int pick_one(const struct kind *kind, const char *name, json_t *items, json_t **out,
                    struct failure *f)
{
    json_t *alive = NULL, *item;
    size_t i, lives = 0;

    if (json_array_size(items) == 0)
        return fail(f, EXIT_NOT_FOUND, "no %s is named '%s'", kind->noun, name);
    json_array_foreach(items, i, item)
    {
        if (is_alive(item)) {
            alive = item;
            lives++;
        }
    }
    if (json_array_size(items) == 1)
        alive = json_array_get(items, 0);
    else if (lives != 1)
        return several(kind, name, items, f);
    *out = json_incref(alive);
    return EXIT_OK;
}

static int find_by_name(struct http *h, const struct kind *kind, const char *name, json_t **out,
                        struct failure *f)
{
    struct resource_list list;
    struct buffer query;
    char *text;
    int rc;

    buffer_init(&query);
    buffer_append_string(&query, "name=");
    http_escape(&query, name);
    text = buffer_take(&query, NULL);
    if (text == NULL)
        return fail(f, EXIT_REFUSED, "out of memory");
    rc = resource_list(h, kind, text, 0, &list, f);
    free(text);
    if (rc == EXIT_OK) {
        rc = pick_one(kind, name, list.items, out, f);
        json_decref(list.items);
    }
    return rc;
}

int resource_find(struct http *h, const struct kind *kind, const char *ref, json_t **out,
                  struct failure *f)
{
    struct buffer path;
    char *text;
    int rc;

    if (strcmp(kind->key, "id") == 0 && !resource_is_id(ref))
        return find_by_name(h, kind, ref, out, f);
    buffer_init(&path);
    buffer_printf(&path, "%s/", kind->path);
    http_escape(&path, ref);
    text = buffer_take(&path, NULL);
    rc = text != NULL ? http_get(h, text, out, f) : fail(f, EXIT_REFUSED, "out of memory");
    free(text);
    return rc;
}

int resource_resolve(struct http *h, const struct kind *kind, const char *ref, char **out,
                     struct failure *f)
{
    json_t *document = NULL;
    int rc;

    if (strcmp(kind->key, "id") != 0 || resource_is_id(ref)) {
        *out = strdup(ref);
        return EXIT_OK;
    }
    rc = resource_find(h, kind, ref, &document, f);
    if (rc == EXIT_OK)
        *out = strdup(resource_key(kind, document));
    json_decref(document);
    return rc;
}

void resource_draw(json_t *items, size_t count, uint64_t seed)
{
    size_t n = json_array_size(items);
    json_t *drawn = json_array();

    for (size_t i = 0; i < count && i < n; i++) {
        size_t left = json_array_size(items);
        size_t at = (size_t)(random_u64(seed, 0, (uint32_t)i) % left);

        json_array_append(drawn, json_array_get(items, at));
        json_array_set(items, at, json_array_get(items, left - 1));
        json_array_remove(items, left - 1);
    }
    json_array_clear(items);
    json_array_extend(items, drawn);
    json_decref(drawn);
}

static void query_option(const struct option *option, struct buffer *out)
{
    const char *value = option->value;

    if (out->length > 0)
        buffer_append_string(out, "&");
    if (option->flag->type == FLAG_TAG) {
        char *key = strndup(value, strcspn(value, "="));

        buffer_append_string(out, "tag.");
        http_escape(out, key != NULL ? key : "");
        value += strcspn(value, "=") + 1;
        free(key);
    } else {
        buffer_append_string(out, option->flag->field);
    }
    buffer_append_string(out, "=");
    http_escape(out, value);
}

void resource_query(const struct command *c, struct buffer *out)
{
    for (size_t i = 0; i < c->option_count; i++)
        if (c->options[i].flag->use == USE_QUERY)
            query_option(&c->options[i], out);
    if (c->verb->kind == &kind_fault && args_has(c, "project")) { // theirs is no header
        buffer_printf(out, "%sproject=", out->length > 0 ? "&" : "");
        http_escape(out, args_value(c, "project"));
    }
}

static void draw_as_asked(const struct command *c, json_t *items)
{
    int64_t count = args_int(c, "random", 0);
    uint64_t seed = (uint64_t)args_int(c, "seed", -1);

    if (count == 0)
        return;
    if (!args_has(c, "seed")) {
        seed = random_seed() & INT64_MAX;
        fprintf(stderr, "mockcloud: --random %" PRId64 " --seed %" PRIu64 "\n", count, seed);
    }
    resource_draw(items, (size_t)count, seed);
}

int resource_select(struct http *h, const struct command *c, const char *default_states,
                    json_t **out_items, struct failure *f)
{
    int64_t limit = args_has(c, "random") ? 0 : args_int(c, "limit", 0);
    struct resource_list list;
    struct buffer query;
    char *text;
    int rc;

    buffer_init(&query);
    resource_query(c, &query);
    if (default_states != NULL && !args_has(c, "state"))
        buffer_printf(&query, "%sstate=%s", query.length > 0 ? "&" : "", default_states);
    buffer_append(&query, "", 1);
    text = buffer_take(&query, NULL);
    if (text == NULL)
        return fail(f, EXIT_REFUSED, "out of memory");
    rc = resource_list(h, c->verb->kind, text, limit, &list, f);
    free(text);
    if (rc == EXIT_OK) {
        draw_as_asked(c, list.items);
        *out_items = list.items;
    }
    return rc;
}

char *resource_path(const char *pattern, const char *key, const char *part)
{
    const char *values[] = {key, part}, *hole;
    struct buffer path;

    buffer_init(&path);
    for (int n = 0; n < 2 && (hole = strstr(pattern, "{}")) != NULL; n++, pattern = hole + 2) {
        buffer_append(&path, pattern, (size_t)(hole - pattern));
        http_escape(&path, values[n]);
    }
    buffer_append_string(&path, pattern);
    return buffer_take(&path, NULL);
}
