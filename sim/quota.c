// Quotas and rate limits of a project: the record, and what a tenant is shown of it. Counting and
// refusing is sim/usage.c, throttling sim/rates.c.
#include "base/bucket.h"
#include "sim/cloud_internal.h"
#include "sim/pack.h"
#include "sim/rates.h"
#include "sim/usage.h"

#include <string.h>

// --- record ---

static void pack_quota(const struct resource *r, struct buffer *out)
{
    const struct quota *q = (const struct quota *)r;

    for (int i = 0; i < QUOTA_KINDS; i++) {
        pack_int(out, q->limits[i]);
    }
    for (int i = 0; i < RATE_CLASSES; i++) {
        int64_t bits;
        memcpy(&bits, &q->rates[i], sizeof(bits));
        pack_int(out, bits);
        pack_int(out, q->bursts[i]);
    }
}

static void unpack_quota(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct quota *q = (struct quota *)r;

    (void)arena;
    for (int i = 0; i < QUOTA_KINDS; i++) {
        q->limits[i] = unpack_int(in);
    }
    for (int i = 0; i < RATE_CLASSES; i++) {
        int64_t bits = unpack_int(in);
        memcpy(&q->rates[i], &bits, sizeof(bits));
        q->bursts[i] = unpack_int(in);
    }
}

static void encode_rates(const struct quota *q, struct json_writer *w)
{
    jw_key(w, "rates");
    jw_object_begin(w);
    for (int i = 0; i < RATE_CLASSES; i++) {
        if (q->rates[i] > 0) {
            jw_key(w, rate_class_names[i]);
            jw_object_begin(w);
            jw_key(w, "rate");
            jw_double(w, q->rates[i]);
            jw_field_int(w, "burst", q->bursts[i]);
            jw_object_end(w);
        }
    }
    jw_object_end(w);
}

static void encode_quota(const struct resource *r, struct json_writer *w)
{
    const struct quota *q = (const struct quota *)r;

    jw_object_begin(w);
    jw_field_string(w, "project", r->project_name);
    for (int i = 0; i < QUOTA_KINDS; i++) {
        if (q->limits[i] != UNLIMITED) {
            jw_field_int(w, quota_names[i], q->limits[i]);
        }
    }
    encode_rates(q, w);
    jw_field_int(w, "revision", r->revision);
    jw_object_end(w);
}

static int remove_quota(struct txn *t, struct resource *r, struct error *err)
{
    t->cloud->ledger.rates_changed = true;
    return txn_delete(t, r, err);
}

const struct kind_ops quota_kind = {
    .kind = KIND_QUOTA,
    .size = sizeof(struct quota),
    .pack = pack_quota,
    .unpack = unpack_quota,
    .encode = encode_quota,
    .remove = remove_quota,
};

// --- operations ---

static int find_or_new(struct txn *t, const struct resource *project, struct quota **out,
                       struct error *err)
{
    struct resource *r;
    int rc = txn_find(t, KIND_QUOTA, 0, project->id, &r, err);

    if (rc == 0) {
        r = txn_new(t, KIND_QUOTA, false, project->id);
        r->project = project->seq;
        r->project_name = project->name;
    }
    if (rc >= 0) {
        *out = (struct quota *)r;
    }
    return rc < 0 ? rc : 0;
}

static void clear(struct quota *q)
{
    for (int i = 0; i < QUOTA_KINDS; i++) {
        q->limits[i] = UNLIMITED;
    }
    memset(q->rates, 0, sizeof(q->rates));
    memset(q->bursts, 0, sizeof(q->bursts));
}

static int apply_rates(struct quota *q, const struct quota_spec *spec, struct error *err)
{
    for (int i = 0; i < RATE_CLASSES; i++) {
        struct bucket_rule rule = {0};
        if (!spec->rates[i].given) {
            continue;
        }
        if (spec->rates[i].rate > 0 &&
            bucket_rule_make(spec->rates[i].rate, spec->rates[i].burst, &rule, err) < 0) {
            return -ERROR_INVALID;
        }
        q->rates[i] = spec->rates[i].rate;
        q->bursts[i] = rule.burst;
    }
    return 0;
}

int quota_write(struct txn *t, const struct resource *project, const struct quota_spec *spec,
                bool replace, struct quota **out, struct error *err)
{
    struct quota *q;
    int rc = find_or_new(t, project, &q, err);

    if (rc < 0) {
        return rc;
    }
    if (replace || q->r.seq == 0) {
        clear(q);
    }
    for (int i = 0; i < QUOTA_KINDS; i++) {
        if (spec->limits[i].given) {
            q->limits[i] = spec->limits[i].limit;
        }
    }
    rc = apply_rates(q, spec, err);
    rc = rc < 0 ? rc : txn_put(t, &q->r, err);
    if (rc == 0) {
        t->cloud->ledger.rates_changed = true;
        *out = q;
    }
    return rc;
}

static int write_by_name(struct txn *t, struct change *c, bool replace, struct error *err)
{
    struct resource *project;
    struct quota *q;

    int rc = project_load(t, c->id, &project, err);
    rc = rc < 0 ? rc : quota_write(t, project, &c->request.quota, replace, &q, err);
    if (rc == 0) {
        change_answer(t, c, &q->r);
    }
    return rc;
}

int quota_put(struct txn *t, struct change *c, struct error *err)
{
    return write_by_name(t, c, true, err);
}

int quota_update(struct txn *t, struct change *c, struct error *err)
{
    return write_by_name(t, c, false, err);
}

int quota_delete(struct txn *t, struct change *c, struct error *err)
{
    struct resource *project, *r;
    int rc = project_load(t, c->id, &project, err);

    rc = rc < 0 ? rc : txn_find(t, KIND_QUOTA, 0, project->id, &r, err);
    return rc > 0 ? remove_quota(t, r, err) : rc;
}

// --- what is shown ---

static void show_figures(struct json_writer *w, struct usage_figures f)
{
    jw_field_int(w, "used", f.used);
    if (f.limit != UNLIMITED) {
        jw_field_int(w, "limit", f.limit);
        jw_field_int(w, "remaining", f.used < f.limit ? f.limit - f.used : 0);
    }
}

static void show_quota(struct cloud *cloud, int64_t project, enum kind kind, struct json_writer *w)
{
    jw_object_begin(w);
    jw_field_string(w, "name", quota_names[kind]);
    show_figures(w, usage_of_quota(cloud->usage, project, kind));
    jw_object_end(w);
}

static void show_rate(struct cloud *cloud, int64_t project, enum rate_class class,
                      struct json_writer *w)
{
    struct rate_view view;

    if (!cloud_rate_look(cloud, project, class, &view)) {
        return;
    }
    jw_object_begin(w);
    jw_field_string(w, "class", rate_class_names[class]);
    jw_key(w, "rate");
    jw_double(w, view.rate);
    jw_field_int(w, "burst", view.limit);
    jw_field_int(w, "remaining", view.remaining);
    jw_key(w, "reset_seconds");
    jw_double(w, (double)view.reset_ns / 1e9);
    jw_object_end(w);
}

void cloud_quotas_encode(struct cloud *cloud, int64_t project, const char *project_name,
                         struct buffer *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object_begin(&w);
    jw_field_string(&w, "project", project_name);
    jw_key(&w, "quotas");
    jw_array_begin(&w);
    for (int i = 0; i < QUOTA_KINDS; i++) {
        show_quota(cloud, project, (enum kind)i, &w);
    }
    jw_array_end(&w);
    jw_key(&w, "rates");
    jw_array_begin(&w);
    for (int i = 0; i < RATE_CLASSES; i++) {
        show_rate(cloud, project, (enum rate_class)i, &w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
}

void cloud_capacity_encode(struct cloud *cloud, const char *zone, struct buffer *out)
{
    struct usage_place *places;
    struct json_writer w;
    struct arena arena;

    arena_init(&arena);
    size_t count = usage_places(cloud->usage, zone, &arena, &places);
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_field_string(&w, "zone", zone);
    jw_key(&w, "types");
    jw_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        jw_object_begin(&w);
        jw_field_string(&w, "type", places[i].type);
        show_figures(&w, places[i].figures);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_key(&w, "total");
    jw_object_begin(&w);
    show_figures(&w, usage_of_capacity(cloud->usage, zone, NULL));
    jw_object_end(&w);
    jw_object_end(&w);
    arena_fini(&arena);
}
