#include "api/actor.h"

#include "api/handlers.h"
#include "api/json_in.h"
#include "api/request.h"

#include <stdlib.h>
#include <string.h>

const struct endpoint *endpoint_find(const char *operation)
{
    for (size_t i = 0; i < endpoint_count; i++)
        if (strcmp(endpoints[i].operation, operation) == 0)
            return &endpoints[i];
    return NULL;
}

static bool moves_clock(const struct endpoint *endpoint)
{
    return endpoint->handle == handle_clock_change || endpoint->handle == handle_clock_freeze ||
           endpoint->handle == handle_clock_resume;
}

// What is no change that the writer applies (reset, recordings, the log of calls) would act on the
// server around the transaction.
bool endpoint_is_action(const struct endpoint *endpoint)
{
    return endpoint->method != METHOD_GET && endpoint->kind != KIND_SCENARIO &&
           (endpoint->apply || moves_clock(endpoint));
}

size_t endpoint_parameters(const struct endpoint *endpoint)
{
    size_t count = 0;

    for (const char *at = endpoint->path; (at = strchr(at, '{')) != NULL; at++)
        count++;
    return count;
}

// --- the request ---

static struct span escape(struct arena *arena, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length = strlen(text);
    char *out = arena_alloc(arena, 3 * length + 1), *at = out;

    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_';
        if (plain) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        }
    }
    return (struct span){out, (size_t)(at - out)};
}

static int fill(struct request *r, const struct actor_call *call, struct error *err)
{
    const char *values[ROUTE_PARAMETERS] = {call->id, call->part};
    size_t wanted = endpoint_parameters(r->endpoint);

    for (size_t i = 0; i < wanted && i < ROUTE_PARAMETERS; i++) {
        if (!values[i])
            return error_set(err, ERROR_INVALID, i ? "part" : "id", "is required by %s",
                             call->operation);
        r->parameters[i] = escape(&r->arena, values[i]);
    }
    r->project = call->project;
    r->project_name = call->project_name;
    r->who = (struct identity){.project = call->project, .scope = SCOPE_SIM};
    if (call->body)
        buffer_append_string(&r->body, call->body);
    return 0;
}

// --- what the answer holds ---

static const json_t *at_path(const json_t *document, const char *path)
{
    const json_t *value = document;

    while (value && *path) {
        size_t length = strcspn(path, ".");
        if (json_is_array(value))
            value = json_array_get(value, strtoul(path, NULL, 10));
        else
            value = json_object_getn(value, path, length);
        path += length + (path[length] == '.');
    }
    return value;
}

static void append_value(struct buffer *out, const json_t *value)
{
    char *text;

    if (out->length > 0)
        buffer_append(out, ",", 1);
    if (json_is_string(value)) {
        buffer_append_string(out, json_string_value(value));
        return;
    }
    text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text)
        buffer_append_string(out, text);
    free(text);
}

static int save(struct txn *t, const struct change *c, const json_t *documents,
                struct actor_save *wanted, struct error *err)
{
    struct buffer out;
    const json_t *value = NULL;

    buffer_init(&out);
    for (size_t i = 0; i < json_array_size(documents); i++) {
        value = at_path(json_array_get(documents, i), wanted->path ? wanted->path : "id");
        if (value)
            append_value(&out, value);
    }
    if (out.length == 0 && !wanted->path && c->result_id)
        buffer_append_string(&out, c->result_id);
    if (out.length > 0)
        wanted->value = arena_strndup(t->arena, out.data, out.length);
    buffer_fini(&out);
    if (!wanted->value)
        return error_set(err, ERROR_INVALID, "save", "the answer has no %s",
                         wanted->path ? wanted->path : "id");
    return 0;
}

// With `count` the answer is several documents, joined by commas.
static int save_all(struct txn *t, const struct change *c, const struct actor_call *call,
                    struct error *err)
{
    json_t *documents;
    char *text;
    int rc = 0;

    if (call->save_count == 0)
        return 0;
    text = arena_alloc(t->arena, c->document.length + 3);
    text[0] = '[';
    if (c->document.length > 0)
        memcpy(text + 1, c->document.data, c->document.length);
    text[c->document.length + 1] = ']';
    documents = json_loads(text, 0, NULL);
    for (size_t i = 0; rc == 0 && i < call->save_count; i++)
        rc = save(t, c, documents, &call->saves[i], err);
    json_decref(documents);
    return rc;
}

// --- undoing ---

static const char *sibling(struct txn *t, const struct endpoint *e, const char *verb)
{
    size_t length = strcspn(e->operation, ".");
    const char *name = arena_printf(t->arena, "%.*s.%s", (int)length, e->operation, verb);
    const struct endpoint *found = endpoint_find(name);

    return found ? found->operation : NULL;
}

static json_t *document_of(const struct resource *now)
{
    struct buffer text;
    struct json_writer w;
    json_t *document;

    buffer_init(&text);
    jw_init(&w, &text);
    kind_ops_of(now->kind)->encode(now, &w);
    document = json_loadb(text.data, text.length, 0, NULL);
    buffer_fini(&text);
    return document;
}

// Of a document that which the body of a PUT takes.
static const char *body_of(struct txn *t, const struct endpoint *e, const struct resource *now)
{
    json_t *document, *body = json_object();
    const char *out;
    char *dump;

    document = document_of(now);
    for (const struct field *f = e->body->fields; f->name; f++) {
        json_t *value = json_object_get(document, f->name);
        if (value)
            json_object_set(body, f->name, value);
    }
    dump = json_dumps(body, JSON_COMPACT);
    out = arena_strdup(t->arena, dump);
    free(dump);
    json_decref(body);
    json_decref(document);
    return out;
}

// Fields that a PUT must have and the action does not give keep their value.
static int complete(struct txn *t, struct request *r, const struct actor_call *call,
                    struct error *err)
{
    const struct endpoint *e = r->endpoint;
    json_t *given, *current;
    struct resource *now;
    char *dump;
    int rc;

    if (e->method != METHOD_PUT || e->kind >= KIND_COUNT || !e->body || r->body.length == 0)
        return 0;
    rc = txn_find(t, e->kind, 0, call->id, &now, err);
    given = rc == 1 ? json_loadb(r->body.data, r->body.length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_is_object(given)) {
        json_decref(given);
        return rc < 0 ? rc : 0;
    }
    current = json_loads(body_of(t, e, now), 0, NULL);
    for (const struct field *f = e->body->fields; f->name; f++)
        if (f->required && !json_object_get(given, f->name))
            json_object_set(given, f->name, json_object_get(current, f->name));
    dump = json_dumps(given, JSON_COMPACT);
    buffer_clear(&r->body);
    buffer_append_string(&r->body, dump);
    free(dump);
    json_decref(current);
    json_decref(given);
    return 0;
}

// What puts back what a PUT is about to change.
static int undo_put(struct txn *t, const struct endpoint *e, const struct change *c,
                    struct actor_undo *out, struct error *err)
{
    struct resource *now;
    int rc;

    if (e->method != METHOD_PUT || e->kind >= KIND_COUNT || !e->body)
        return 0;
    rc = txn_find(t, e->kind, c->project, c->id, &now, err);
    if (rc < 0)
        return rc;
    out->id = arena_strdup(t->arena, c->id);
    out->operation = rc == 1 ? e->operation : sibling(t, e, "delete");
    out->body = rc == 1 ? body_of(t, e, now) : NULL;
    return 0;
}

static void undo_create(struct txn *t, const struct endpoint *e, const struct change *c,
                        struct actor_undo *out)
{
    const char *id = c->result_id;

    if (e->method != METHOD_POST || e->status != 201 || !id)
        return;
    if (e->apply == project_create) // goes by its name
        id = c->request.project_create.name;
    out->operation = sibling(t, e, "delete");
    out->id = arena_strdup(t->arena, id);
}

// --- undoing a patch ---

bool endpoint_patches_rule(const struct endpoint *e)
{
    return e->method == METHOD_PATCH && e->kind == KIND_FAULT;
}

// The merge patch that makes `to` of `from`.
static json_t *difference(const json_t *from, const json_t *to)
{
    json_t *patch = json_object(), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)from, key, value)
    {
        if (!json_object_get(to, key))
            json_object_set_new(patch, key, json_null());
    }
    json_object_foreach((json_t *)(uintptr_t)to, key, value)
    {
        json_t *other = json_object_get(from, key);

        if (json_equal(value, other))
            continue;
        if (json_is_object(value) && json_is_object(other))
            json_object_set_new(patch, key, difference(other, value));
        else
            json_object_set(patch, key, value);
    }
    return patch;
}

static int before_patch(struct txn *t, const struct endpoint *e, const struct change *c,
                        json_t **out, struct error *err)
{
    struct resource *now;
    int rc = endpoint_patches_rule(e) ? txn_find(t, e->kind, c->project, c->id, &now, err) : 0;

    if (rc == 1)
        *out = document_of(now);
    return rc < 0 ? rc : 0;
}

static void undo_patch(struct txn *t, const struct endpoint *e, const struct change *c,
                       const json_t *before, struct actor_undo *out)
{
    json_t *after = json_loadb(c->document.data, c->document.length, 0, NULL), *patch, *body;
    char *dump;

    patch = difference(after, before);
    body = json_object();
    for (const struct field *f = e->body->fields; f->name; f++)
        if (json_object_get(patch, f->name))
            json_object_set(body, f->name, json_object_get(patch, f->name));
    dump = json_dumps(body, JSON_COMPACT);
    if (json_object_size(body) > 0)
        *out = (struct actor_undo){e->operation, arena_strdup(t->arena, c->id),
                                   arena_strdup(t->arena, dump)};
    free(dump);
    json_decref(body);
    json_decref(patch);
    json_decref(after);
}

// --- applying ---

static int apply_change(struct txn *t, struct request *r, const struct actor_call *call,
                        struct actor_answer *out, struct error *err)
{
    struct change *c = r->change;
    json_t *before = NULL;
    int rc = 0;

    c->cause = t->cause;
    t->operation = r->endpoint->operation;
    if (call->wants_undo)
        rc = undo_put(t, r->endpoint, c, &out->undo, err);
    if (rc == 0 && call->wants_undo)
        rc = before_patch(t, r->endpoint, c, &before, err);
    if (rc == 0)
        rc = c->apply(t, c, err);
    if (rc == 0 && before)
        undo_patch(t, r->endpoint, c, before, &out->undo);
    json_decref(before);
    if (rc == 0)
        rc = save_all(t, c, call, err);
    if (rc == 0 && call->wants_undo)
        undo_create(t, r->endpoint, c, &out->undo);
    return rc;
}

static int act(struct txn *t, struct request *r, const struct actor_call *call,
               struct actor_answer *out, struct error *err)
{
    int rc = fill(r, call, err);

    rc = rc < 0 ? rc : complete(t, r, call, err);
    r->reply.status = r->endpoint->status;
    rc = rc < 0 ? rc : r->endpoint->handle(r, err);
    if (rc < 0)
        return rc;
    if (!r->change)
        return error_set(err, ERROR_INVALID, NULL, "%s changes nothing", call->operation);
    if (!r->change->clock)
        return apply_change(t, r, call, out, err);
    r->change->cause = t->cause;
    txn_defer_clock(t, r->change);
    r->change = NULL;
    return 0;
}

static int apply(const struct actor *actor, struct txn *t, const struct actor_call *call,
                 struct actor_answer *out, struct error *err)
{
    const struct endpoint *endpoint = endpoint_find(call->operation);
    struct api api = {.cloud = t->cloud};
    struct request r = {.api = &api, .endpoint = endpoint};
    int rc;

    (void)actor;
    if (!endpoint || !endpoint_is_action(endpoint))
        return error_set(err, ERROR_INVALID, "do", "%s is no operation that changes something",
                         call->operation);
    arena_init(&r.arena);
    buffer_init(&r.body);
    buffer_init(&r.reply.body);
    rc = act(t, &r, call, out, err);
    request_fini(&r);
    return rc;
}

const struct actor api_actor = {.apply = apply};
