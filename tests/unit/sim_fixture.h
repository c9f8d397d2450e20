// A cloud in memory for the tests of sim/: manual clock, seed 1, changes through the real funnel.
#ifndef TESTS_UNIT_SIM_FIXTURE_H
#define TESTS_UNIT_SIM_FIXTURE_H

#include "base/log.h"
#include "base/timefmt.h"
#include "sim/cloud.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sim {
    struct cloud *cloud;
    int64_t project;
    json_t *document; // of the last answer; NULL: it had no body
};

// `actor` NULL: nothing in it can call the API.
static inline void sim_open_with(struct sim *s, uint64_t seed, const struct actor *actor)
{
    struct cloud_config config = {.store = {.path = ":memory:"},
                                  .clock = {.mode = CLOCK_MANUAL, .cloud_ns = CLOCK_MANUAL_START},
                                  .seed = seed,
                                  .actor = actor};
    struct error err = {0};

    log_setup(LOG_TEXT, LOG_ERROR);
    memset(s, 0, sizeof(*s));
    if (cloud_open(&config, &s->cloud, &err) < 0)
        fail_msg("cloud_open: %s", err.message);
    assert_int_equal(cloud_project(s->cloud, "default", &s->project, &err), 0);
}

static inline void sim_open(struct sim *s, uint64_t seed)
{
    sim_open_with(s, seed, NULL);
}

static inline void sim_close(struct sim *s)
{
    json_decref(s->document);
    cloud_close(s->cloud);
}

static inline int sim_setup(void **state)
{
    *state = malloc(sizeof(struct sim));
    sim_open(*state, 1);
    return 0;
}

static inline int sim_teardown(void **state)
{
    sim_close(*state);
    free(*state);
    return 0;
}

// --- changes ---

static inline struct change *request(struct sim *s, change_apply *apply, const char *id)
{
    struct change *c = change_new(apply, "test");

    c->cause = CAUSE_API;
    c->project = s->project;
    c->project_name = "default";
    c->id = id ? arena_strdup(&c->arena, id) : NULL;
    return c;
}

// Applies and frees the change; the answer (valid until the next one) or NULL.
static inline json_t *accepted(struct sim *s, struct change *c)
{
    if (cloud_apply(s->cloud, c) < 0)
        fail_msg("refused: %s (field %s)", c->error.message, c->error.field);
    json_decref(s->document);
    s->document = NULL;
    if (c->document.length > 0) {
        char *list = arena_printf(&c->arena, "[%.*s]", (int)c->document.length, c->document.data);
        json_t *parsed = json_loads(list, 0, NULL);

        assert_non_null(parsed);
        s->document = json_array_size(parsed) == 1 ? json_incref(json_array_get(parsed, 0))
                                                   : json_incref(parsed);
        json_decref(parsed);
    }
    change_free(c);
    return s->document;
}

// Applies and frees the change, which must be refused so, its message holding `text`.
static inline void refused(struct sim *s, struct change *c, enum error_code code, const char *field,
                           const char *text)
{
    int64_t before = cloud_revision(s->cloud);

    assert_int_equal(cloud_apply(s->cloud, c), -(int)code);
    assert_string_equal(c->error.field, field);
    if (!strstr(c->error.message, text))
        fail_msg("\"%s\" does not say \"%s\"", c->error.message, text);
    assert_int_equal(c->document.length, 0);
    assert_int_equal(cloud_revision(s->cloud), before);
    change_free(c);
}

static inline json_t *act(struct sim *s, change_apply *apply, const char *id)
{
    return accepted(s, request(s, apply, id));
}

static inline void advance(struct sim *s, int64_t ns)
{
    struct clock_change what = {.action = CLOCK_ADVANCE_BY, .ns = ns};

    accepted(s, clock_change_new(&what, "clock.advance"));
}

static inline void takes(struct sim *s, const char *transition, int64_t ns)
{
    struct change *c = request(s, latency_put, transition);

    c->request.latency = (struct distribution){.kind = DISTRIBUTION_FIXED, .a = ns};
    accepted(s, c);
}

// --- looking ---

static inline const char *text(json_t *document, const char *key)
{
    const char *value = json_string_value(json_object_get(document, key));

    if (!value)
        fail_msg("the document has no %s", key);
    return value;
}

// The resource's document, or NULL when there is none; valid until the next look or change.
static inline json_t *look(struct sim *s, enum kind kind, const char *id)
{
    struct buffer out;
    int64_t revision;

    buffer_init(&out);
    json_decref(s->document);
    s->document = NULL;
    if (cloud_get(s->cloud, kind, s->project, id, &out, &revision, NULL) == 0)
        s->document = json_loadb(out.data, out.length, 0, NULL);
    buffer_fini(&out);
    return s->document;
}

static inline void assert_state(struct sim *s, enum kind kind, const char *id, const char *state)
{
    json_t *document = look(s, kind, id);

    assert_non_null(document);
    assert_string_equal(text(document, "state"), state);
}

static inline int append_event(void *context, const struct event *event, struct bytes envelope)
{
    (void)event;
    buffer_append(context, envelope.data, envelope.length);
    buffer_append(context, "\n", 1);
    return 0;
}

// All events after `since`, one a line; the caller frees.
static inline char *event_log(struct sim *s, int64_t since)
{
    struct event_query query = {.since = since, .kind = -1, .limit = 100000};
    struct buffer out;
    int64_t revision;

    buffer_init(&out);
    buffer_append(&out, "", 0);
    assert_int_equal(cloud_events(s->cloud, &query, append_event, &out, &revision, NULL), 0);
    buffer_append(&out, "", 1);
    return buffer_take(&out, NULL);
}

static inline size_t count_events(struct sim *s, int64_t since)
{
    char *log = event_log(s, since);
    size_t count = 0;

    for (const char *at = log; (at = strchr(at, '\n')); at++)
        count++;
    free(log);
    return count;
}

// --- often needed ---

static inline char *create_instance(struct sim *s, const char *name) // id, to be freed
{
    struct change *c = request(s, instance_create, NULL);

    c->request.instance.name = name;
    c->request.instance.external_ip = true;
    return strdup(text(accepted(s, c), "id"));
}

#endif
