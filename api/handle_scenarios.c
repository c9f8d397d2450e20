// Scenarios come as text; a request either runs one or only asks what is wrong with it.
#include "api/bodies_scenario.h"
#include "api/handlers.h"
#include "api/request.h"

static void put_diagnostics(const struct diagnostics *d, struct json_writer *w)
{
    jw_array_begin(w);
    for (size_t i = 0; i < d->count; i++) {
        const struct diagnostic *item = &d->items[i];
        jw_object_begin(w);
        jw_field_string(w, "file", d->file);
        jw_field_int(w, "line", item->line);
        jw_field_int(w, "column", item->column);
        jw_field_string(w, "field", item->path);
        jw_field_string(w, "message", item->message);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void put_verdict(const struct diagnostics *d, const struct scenario *program,
                        struct buffer *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "valid");
    jw_bool(&w, d->count == 0);
    if (d->count == 0) {
        jw_field_string(&w, "name", program->r.name);
        jw_field_int(&w, "steps", (int64_t)program->step_count);
    }
    jw_key(&w, "errors");
    put_diagnostics(d, &w);
    jw_object_end(&w);
}

int handle_scenario_validate(struct request *r, struct error *err)
{
    struct diagnostics d = {.arena = &r->arena};
    struct scenario_body body = {0};
    struct scenario program;
    int rc;

    if (r->query.length > 0)
        return error_set(err, ERROR_UNKNOWN_FIELD, "query", "this operation has no parameters");
    rc = json_in_body(&body_scenario_validate, r->body.data, r->body.length, &r->arena, &body, err);
    if (rc < 0)
        return rc;
    scenario_body_compile(&body, &d, &program);
    put_verdict(&d, &program, &r->reply.body);
    return 0;
}
