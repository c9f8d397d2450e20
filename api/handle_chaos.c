// The profiles of chaos, which are not resources.
#include "api/handlers.h"
#include "api/request.h"
#include "base/json_writer.h"
#include "sim/chaos.h"

static void put_profile(const struct chaos_profile *p, struct json_writer *w)
{
    jw_object_begin(w);
    jw_field_string(w, "name", p->name);
    jw_field_string(w, "description", p->about);
    jw_key(w, "rates");
    jw_object_begin(w);
    for (int i = 0; i < CHAOS_ACTION_COUNT; i++) {
        if (p->set.rates[i] == 0)
            continue;
        jw_key(w, chaos_action_names[i]);
        jw_double(w, (double)p->set.rates[i] / CHAOS_RATE_UNIT);
    }
    jw_object_end(w);
    jw_object_end(w);
}

int handle_chaos_profiles(struct request *r, struct error *err)
{
    struct json_writer w;

    if (r->query.length > 0)
        return error_set(err, ERROR_UNKNOWN_FIELD, "query", "this operation has no parameters");
    jw_init(&w, &r->reply.body);
    jw_object_begin(&w);
    jw_key(&w, "items");
    jw_array_begin(&w);
    for (const struct chaos_profile *p = chaos_profiles; p->name; p++)
        put_profile(p, &w);
    jw_array_end(&w);
    jw_field_int(&w, "revision", cloud_revision(r->api->cloud));
    jw_object_end(&w);
    return 0;
}
