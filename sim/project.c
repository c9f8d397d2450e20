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
    jw_field_int(w, "revision", r->revision);
    jw_object_end(w);
}

const struct kind_ops project_kind = {
    .kind = KIND_PROJECT,
    .size = sizeof(struct project),
    .id_prefix = "prj",
    .pack = pack_project,
    .unpack = unpack_project,
    .encode = encode_project,
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

int project_create(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r = txn_new(t, KIND_PROJECT, false, NULL);

    r->name = c->request.project_create.name;
    int rc = txn_name_free(t, r, r->name, 0, err);
    if (rc == 0) {
        rc = txn_put(t, r, err);
    }
    if (rc == 0) {
        t->cloud->ledger.tokens_changed = true;
        change_answer(t, c, r);
    }
    return rc;
}

struct ids {
    struct txn *txn;
    struct id_link {
        struct id_link *next;
        const char *id;
    } * first;
};

static int collect(void *context, const struct row *row, struct error *err)
{
    struct ids *ids = context;
    struct id_link *link = arena_alloc(ids->txn->arena, sizeof(*link));

    (void)err;
    link->id = arena_strdup(ids->txn->arena, row->id);
    link->next = ids->first;
    ids->first = link;
    return 0;
}

static int delete_all(struct txn *t, enum kind kind, int64_t project, struct error *err)
{
    struct ids ids = {.txn = t};
    struct resource *r;

    int rc = store_each(t->store, kind, project, collect, &ids, err);
    for (struct id_link *link = ids.first; rc == 0 && link != NULL; link = link->next) {
        rc = txn_load(t, kind, project, link->id, &r, err);
        if (rc == 0) {
            rc = kind == KIND_FAULT ? fault_remove(t, r, err) : txn_delete(t, r, err);
        }
    }
    return rc;
}

int project_delete(struct txn *t, struct change *c, struct error *err)
{
    static const enum kind kinds[] = {KIND_ROUTE,   KIND_LOAD_BALANCER, KIND_TARGET_POOL,
                                      KIND_ADDRESS, KIND_INSTANCE,      KIND_FAULT,
                                      KIND_CLUSTER};
    struct resource *r;

    if (strcmp(c->id, "default") == 0) {
        return error_set(err, ERROR_IN_USE, NULL, "the default project stays");
    }
    int rc = project_load(t, c->id, &r, err);
    for (size_t i = 0; rc == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        rc = delete_all(t, kinds[i], r->seq, err);
    }
    rc = rc < 0 ? rc : quota_drop(t, r, err);
    if (rc == 0) {
        rc = store_tokens_delete(t->store, r->seq, err);
    }
    if (rc == 0) {
        memset(t->cloud->ledger.pool_full, 0, sizeof(t->cloud->ledger.pool_full));
        t->cloud->ledger.tokens_changed = true;
        rc = txn_delete(t, r, err);
    }
    return rc;
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
