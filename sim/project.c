// Projects (tenants) and their tokens.
#include "sim/cloud_internal.h"

#include <stdio.h>
#include <string.h>

static void pack_project(const struct resource *r, struct buffer *out)
{
    (void)r;
    (void)out;
}

static void unpack_project(struct resource *r, struct unpacker *in, struct arena *arena)
{
    (void)r;
    (void)in;
    (void)arena;
}

static void encode_project(const struct resource *r, struct json_writer *w)
{
    jw_object_begin(w);
    jw_field_string(w, "id", r->id);
    jw_field_string(w, "name", r->name);
    jw_field_time(w, "created_at", r->created_ns);
    if (r->transition_ns != 0) {
        jw_field_time(w, "expires_at", r->transition_ns);
    }
    jw_field_int(w, "revision", r->revision);
    jw_object_end(w);
}

static int project_due(struct txn *t, struct resource *r, struct error *err);

const struct kind_ops project_kind = {
    .kind = KIND_PROJECT,
    .size = sizeof(struct project),
    .id_prefix = "prj",
    .pack = pack_project,
    .unpack = unpack_project,
    .encode = encode_project,
    .due = project_due,
};

int project_load(struct txn *t, const char *name, struct resource **out, struct error *err)
{
    struct row row;
    int rc = store_get_by_name(t->store, KIND_PROJECT, 0, name, 0, t->arena, &row, err);

    if (rc == 0) {
        return error_set(err, ERROR_NOT_FOUND, NULL, "project %s does not exist", name);
    }
    if (rc < 0) {
        return rc;
    }
    *out = record_from_row(KIND_PROJECT, &row, t->arena, err);
    return *out == NULL ? -ERROR_INTERNAL : 0;
}

static bool is_default(const struct resource *r)
{
    return strcmp(r->name, "default") == 0;
}

// The document, and at its end the token, which is shown this once.
static void answer_with_token(struct change *c, const char *token)
{
    struct buffer *out = &c->document;

    out->length--; // the closing brace
    buffer_printf(out, ",\"token\":\"%s\"}", token);
}

int project_create(struct txn *t, struct change *c, struct error *err)
{
    const struct project_spec *spec = &c->request.project_create;
    struct resource *r = txn_new(t, KIND_PROJECT, false, NULL);
    struct quota *q;

    r->name = spec->name;
    r->transition_ns = spec->ttl_ns > 0 ? t->now_ns + spec->ttl_ns : 0;
    int rc = txn_name_free(t, r, r->name, 0, err);
    rc = rc < 0 ? rc : txn_put(t, r, err);
    if (rc == 0 && spec->has_quotas) {
        rc = quota_write(t, r, &spec->quotas, true, &q, err);
    }
    if (rc == 0 && spec->wants_token) {
        rc = store_token_put(t->store, spec->token, r->seq, SCOPE_CLOUD, err);
    }
    if (rc < 0) {
        return rc;
    }
    t->cloud->ledger.tokens_changed = true;
    change_answer(t, c, r);
    if (spec->wants_token) {
        answer_with_token(c, spec->token);
    }
    return 0;
}

int project_update(struct txn *t, struct change *c, struct error *err)
{
    int64_t ttl = c->request.project_update.ttl_ns;
    struct resource *r;

    int rc = project_load(t, c->id, &r, err);
    if (rc == 0 && ttl > 0 && is_default(r)) {
        rc = error_set(err, ERROR_IN_USE, "ttl", "the default project stays");
    }
    if (rc < 0) {
        return rc;
    }
    r->transition_ns = ttl > 0 ? t->now_ns + ttl : 0;
    rc = txn_put(t, r, err);
    if (rc == 0) {
        change_answer(t, c, r);
    }
    return rc;
}

int project_delete(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r;

    int rc = project_load(t, c->id, &r, err);
    if (rc == 0 && is_default(r)) {
        rc = error_set(err, ERROR_IN_USE, NULL, "the default project stays");
    } else if (rc == 0 && t->cause == CAUSE_SCENARIO && r->seq == t->project) {
        rc = error_set(err, ERROR_IN_USE, NULL, "a scenario cannot delete its own project");
    }
    return rc < 0 ? rc : project_end(t, r, err);
}

static int project_due(struct txn *t, struct resource *r, struct error *err)
{
    t->operation = "project.expired";
    return project_end(t, r, err);
}

int project_create_token(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r;
    struct json_writer w;

    int rc = project_load(t, c->id, &r, err);
    if (rc == 0) {
        rc = store_token_put(t->store, c->request.token.token, r->seq, c->request.token.scope, err);
    }
    if (rc < 0) {
        return rc;
    }
    t->cloud->ledger.tokens_changed = true;
    jw_init(&w, &c->document);
    jw_object_begin(&w);
    jw_field_string(&w, "token", c->request.token.token);
    jw_field_string(&w, "scope", scope_names[c->request.token.scope]);
    jw_field_string(&w, "project", r->name);
    jw_object_end(&w);
    return 0;
}

// --- tokens in memory ---

struct projects {
    struct cloud *cloud;
    struct project_link {
        struct project_link *next;
        struct identity who;
    } * first;
    struct arena arena;
    struct error *err;
};

static int note_project(void *context, const struct row *row, struct error *err)
{
    struct projects *p = context;
    struct project_link *link = arena_alloc(&p->arena, sizeof(*link));

    (void)err;
    link->who.project = row->seq;
    snprintf(link->who.project_name, sizeof(link->who.project_name), "%s", row->name);
    link->next = p->first;
    p->first = link;
    tokens_add_project(p->cloud->tokens, row->name, row->seq);
    if (strcmp(row->name, "default") == 0 && p->cloud->default_project != row->seq) {
        p->cloud->default_project = row->seq;
    }
    return 0;
}

static int note_token(void *context, const char *token, int64_t project, int scope)
{
    struct projects *p = context;

    for (struct project_link *link = p->first; link != NULL; link = link->next) {
        if (link->who.project == project) {
            link->who.scope = (enum scope)scope;
            id_make_of_text(link->who.token_id, "tok", p->cloud->seed, token);
            return tokens_add(p->cloud->tokens, token, &link->who, false, p->err);
        }
    }
    return 0; // its project is being deleted
}

int tokens_reload(struct cloud *cloud, struct error *err)
{
    struct projects p = {.cloud = cloud, .err = err};

    arena_init(&p.arena);
    tokens_lock(cloud->tokens);
    tokens_forget_stored(cloud->tokens);
    int rc = store_each(cloud->store, KIND_PROJECT, 0, note_project, &p, err);
    if (rc == 0) {
        rc = store_tokens_each(cloud->store, note_token, &p, err);
    }
    tokens_unlock(cloud->tokens);
    arena_fini(&p.arena);
    return rc;
}

int cloud_token_add(struct cloud *cloud, const char *token, struct error *err)
{
    struct identity who = {
        .project = cloud->default_project, .project_name = "default", .scope = SCOPE_SIM};

    id_make_of_text(who.token_id, "tok", cloud->seed, token);
    tokens_lock(cloud->tokens);
    int rc = tokens_add(cloud->tokens, token, &who, true, err);
    tokens_unlock(cloud->tokens);
    return rc;
}

int cloud_authenticate(struct cloud *cloud, const char *token, size_t length, struct identity *out,
                       struct error *err)
{
    if (tokens_find(cloud->tokens, token, length, out)) {
        return 0;
    }
    return error_set(err, ERROR_UNAUTHORIZED, "Authorization", "this token is not known");
}

int64_t cloud_projects_ended(struct cloud *cloud)
{
    return atomic_load(&cloud->projects_ended);
}

bool cloud_project_lives(struct cloud *cloud, int64_t project)
{
    return tokens_project_lives(cloud->tokens, project);
}

int cloud_project(struct cloud *cloud, const char *name, int64_t *out, struct error *err)
{
    int64_t seq = tokens_project(cloud->tokens, name);

    if (seq == 0) {
        return error_set(err, ERROR_NOT_FOUND, NULL, "project %s does not exist", name);
    }
    *out = seq;
    return 0;
}
