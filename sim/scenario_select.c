// Selectors: what an action is done to, what a condition counts.
#include "sim/cloud_internal.h"
#include "sim/scenario.h"

#include <string.h>

static bool in_project(int kind)
{
    return kind != KIND_ZONE && kind != KIND_INSTANCE_TYPE && kind != KIND_LATENCY &&
           kind != KIND_FAULT && kind != KIND_QUOTA && kind != KIND_PROJECT;
}

int selector_project(struct txn *t, const struct scenario *s, const char *name, int64_t *out,
                     struct error *err)
{
    struct row row;
    int rc;

    *out = s->r.project;
    if (!name)
        return 0;
    rc = store_get_by_name(t->store, KIND_PROJECT, 0, name, 0, t->arena, &row, err);
    if (rc == 0)
        return error_set(err, ERROR_NOT_FOUND, "project", "project %s does not exist", name);
    if (rc > 0)
        *out = row.seq;
    return rc < 0 ? rc : 0;
}

// "a,b" to ["a","b"]
static const char *id_list(struct txn *t, const char *ids)
{
    struct buffer out;
    struct json_writer w;
    const char *list;

    buffer_init(&out);
    jw_init(&w, &out);
    jw_array_begin(&w);
    for (const char *at = ids; *at;) {
        size_t length = strcspn(at, ",");
        jw_string_n(&w, at, length);
        at += length + (at[length] == ',');
    }
    jw_array_end(&w);
    list = arena_strndup(t->arena, out.data, out.length);
    buffer_fini(&out);
    return list;
}

static int expand_pairs(struct txn *t, const struct scenario_context *c, const struct store_tag *in,
                        size_t count, const struct store_tag **out, struct error *err)
{
    struct store_tag *pairs = arena_alloc(t->arena, count * sizeof(*pairs) + 1);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        pairs[i].key = in[i].key;
        rc = scenario_expand(t, c, in[i].value, false, &pairs[i].value, err);
    }
    *out = pairs;
    return rc;
}

int selector_match(struct txn *t, const struct scenario_context *c, const struct selector *selector,
                   struct store_match *out, struct error *err)
{
    struct store_match m = {.kind = (enum kind)selector->kind,
                            .states = selector->states,
                            .tag_count = selector->tag_count,
                            .where_count = selector->where_count};
    const char *project, *ids;
    int rc = scenario_expand(t, c, selector->project, false, &project, err);

    rc = rc < 0 ? rc : scenario_expand(t, c, selector->name, false, &m.name, err);
    rc = rc < 0 ? rc : scenario_expand(t, c, selector->id, false, &ids, err);
    for (int i = 0; rc == 0 && i < KIND_COLUMNS_MAX; i++)
        rc = scenario_expand(t, c, selector->columns[i], false, &m.columns[i], err);
    rc = rc < 0 ? rc : expand_pairs(t, c, selector->tags, m.tag_count, &m.tags, err);
    rc = rc < 0 ? rc : expand_pairs(t, c, selector->where, m.where_count, &m.where, err);
    if (rc == 0 && in_project(selector->kind))
        rc = selector_project(t, c->scenario, project, &m.project, err);
    if (rc < 0)
        return rc;
    m.ids = ids ? id_list(t, ids) : NULL;
    *out = m;
    return 0;
}

// The first `wanted` of a seeded shuffle.
static void draw(struct txn *t, struct scenario *s, const char **ids, size_t count, size_t wanted)
{
    int64_t ordinal = ++s->draws;

    for (size_t i = 0; i < wanted; i++) {
        uint64_t number = random_u64((uint64_t)s->seed, ordinal, (uint32_t)i);
        size_t other = i + (size_t)(number % (count - i));
        const char *swap = ids[i];

        ids[i] = ids[other];
        ids[other] = swap;
    }
    (void)t;
}

static size_t wanted_of(const struct selector *selector, size_t count)
{
    size_t wanted = count;

    if (selector->random_count > 0)
        wanted = (size_t)selector->random_count;
    else if (selector->random_percent > 0)
        wanted = (count * (size_t)selector->random_percent + 50) / 100;
    wanted = wanted == 0 && count > 0 ? 1 : wanted;
    return wanted < count ? wanted : count;
}

int selector_ids(struct txn *t, struct scenario_context *c, const struct selector *selector,
                 const char ***out, size_t *out_count, struct error *err)
{
    struct store_match match;
    size_t count;
    int rc = selector_match(t, c, selector, &match, err);

    if (rc == 0)
        rc = store_match_ids(t->store, &match, t->arena, out, &count, err);
    if (rc < 0)
        return rc;
    if (count == 0 && !selector->allow_none)
        return error_set(err, ERROR_NOT_FOUND, "select", "no %s matches the selector",
                         kind_name(match.kind));
    *out_count = wanted_of(selector, count);
    if (*out_count < count)
        draw(t, c->scenario, *out, count, *out_count);
    return 0;
}
