// Regions are no records: they are what the zones say.
#include "api/handlers.h"
#include "api/json_in.h"
#include "api/request.h"
#include "base/json_writer.h"

#include <string.h>

static const char *text_of(const json_t *zone, const char *key)
{
    const char *text = json_string_value(json_object_get(zone, key));

    return text ? text : "";
}

// Whether an earlier zone has named the region already.
static bool seen(const json_t *zones, size_t index, const char *region)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(text_of(json_array_get(zones, i), "region"), region) == 0)
            return true;
    return false;
}

static void put_region(struct json_writer *w, const json_t *zones, const char *region)
{
    jw_object_begin(w);
    jw_field_string(w, "name", region);
    jw_key(w, "zones");
    jw_array_begin(w);
    for (size_t i = 0; i < json_array_size(zones); i++) {
        const json_t *zone = json_array_get(zones, i);
        if (strcmp(text_of(zone, "region"), region) == 0)
            jw_string(w, text_of(zone, "name"));
    }
    jw_array_end(w);
    jw_object_end(w);
}

static void put_regions(struct buffer *out, const json_t *zones, int64_t revision)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "items");
    jw_array_begin(&w);
    for (size_t i = 0; i < json_array_size(zones); i++) {
        const char *region = text_of(json_array_get(zones, i), "region");
        if (!seen(zones, i, region))
            put_region(&w, zones, region);
    }
    jw_array_end(&w);
    jw_field_int(&w, "revision", revision);
    jw_object_end(&w);
}

int handle_regions(struct request *r, struct error *err)
{
    struct list_query query = {.kind = KIND_ZONE, .limit = 100000};
    struct buffer list = {0};
    int64_t next, revision;
    json_t *zones = NULL;
    size_t count;
    int result;

    buffer_append_string(&list, "[");
    result = cloud_list(r->api->cloud, &query, &list, &count, &next, &revision, err);
    buffer_append_string(&list, "]");
    if (result >= 0)
        result = json_in_load(list.data, list.length, &zones, err);
    if (result >= 0)
        put_regions(&r->reply.body, zones, revision);
    json_decref(zones);
    buffer_fini(&list);
    return result < 0 ? result : 0;
}
