// How long timed transitions take: defaults, the latencies that were set, and the draws.
#include "base/glob.h"
#include "base/timefmt.h"
#include "sim/cloud_internal.h"
#include "sim/pack.h"

#include <string.h>

#define RETENTION (60 * NS_PER_S) // of terminated instances, in cloud time

const char *const transition_names[] = {
    [TRANSITION_INSTANCE_PENDING] = "instance.pending",
    [TRANSITION_INSTANCE_STOPPING] = "instance.stopping",
    [TRANSITION_INSTANCE_REBOOTING] = "instance.rebooting",
    [TRANSITION_INSTANCE_TERMINATING] = "instance.terminating",
    [TRANSITION_INSTANCE_TERMINATED] = "instance.terminated",
    [TRANSITION_LB_PROVISIONING] = "load_balancer.provisioning",
    [TRANSITION_LB_UPDATING] = "load_balancer.updating",
    [TRANSITION_LB_DELETING] = "load_balancer.deleting",
    [TRANSITION_TARGET_INITIAL] = "target.initial",
    [TRANSITION_TARGET_DRAINING] = "target.draining",
    [TRANSITION_ROUTE_PENDING] = "route.pending",
    [TRANSITION_ROUTE_DELETING] = "route.deleting",
    [TRANSITION_COUNT] = NULL,
};

int transition_parse(const char *name, enum transition *out, struct error *err)
{
    for (int i = 0; i < TRANSITION_COUNT; i++) {
        if (strcmp(name, transition_names[i]) == 0) {
            *out = (enum transition)i;
            return 0;
        }
    }
    return error_set(err, ERROR_INVALID, "transition", "there is no timed transition %s", name);
}

bool transition_like(const char *glob)
{
    for (int i = 0; i < TRANSITION_COUNT; i++) {
        if (glob_match(glob, transition_names[i])) {
            return true;
        }
    }
    return false;
}

bool transition_fails_like(const char *glob)
{
    for (int i = 0; i <= TRANSITION_LB_DELETING; i++) {
        if (i != TRANSITION_INSTANCE_TERMINATED && glob_match(glob, transition_names[i])) {
            return true;
        }
    }
    return false;
}

struct distribution transition_default(enum transition transition)
{
    return (struct distribution){.kind = DISTRIBUTION_FIXED,
                                 .a = transition == TRANSITION_INSTANCE_TERMINATED ? RETENTION : 0};
}

int64_t txn_latency(struct txn *t, const char *transition)
{
    enum transition which;

    if (transition_parse(transition, &which, NULL) < 0) {
        return 0;
    }
    uint32_t stream = (uint32_t)which << 24 | (t->draws++ & 0xffffff);
    return distribution_draw(&t->cloud->ledger.latencies[which], t->cloud->seed,
                             t->cloud->ledger.revision + 1, stream);
}

static void pack_latency(const struct resource *r, struct buffer *out)
{
    const struct latency *l = (const struct latency *)r;

    pack_int(out, (int64_t)l->distribution.kind);
    pack_int(out, l->distribution.a);
    pack_int(out, l->distribution.b);
}

static void unpack_latency(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct latency *l = (struct latency *)r;
    int64_t kind = unpack_int(in);

    (void)arena;
    in->failed |= kind < DISTRIBUTION_FIXED || kind > DISTRIBUTION_LOGNORMAL;
    l->distribution.kind = (enum distribution_kind)kind;
    l->distribution.a = unpack_int(in);
    l->distribution.b = unpack_int(in);
}

void encode_distribution(const struct distribution *d, struct json_writer *w)
{
    static const struct {
        const char *name, *a, *b;
    } kinds[] = {
        [DISTRIBUTION_FIXED] = {"fixed", "value", NULL},
        [DISTRIBUTION_UNIFORM] = {"uniform", "min", "max"},
        [DISTRIBUTION_NORMAL] = {"normal", "mean", "stddev"},
        [DISTRIBUTION_LOGNORMAL] = {"lognormal", "mean", "stddev"},
    };

    jw_field_string(w, "distribution", kinds[d->kind].name);
    jw_field_duration(w, kinds[d->kind].a, d->a);
    if (kinds[d->kind].b != NULL) {
        jw_field_duration(w, kinds[d->kind].b, d->b);
    }
}

static void encode_latency(const struct resource *r, struct json_writer *w)
{
    jw_object_begin(w);
    jw_field_string(w, "transition", r->id);
    encode_distribution(&((const struct latency *)r)->distribution, w);
    jw_field_int(w, "revision", r->revision);
    jw_object_end(w);
}

const struct kind_ops latency_kind = {
    .kind = KIND_LATENCY,
    .size = sizeof(struct latency),
    .pack = pack_latency,
    .unpack = unpack_latency,
    .encode = encode_latency,
};

int latency_put(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r = NULL;
    enum transition which;

    if (transition_parse(c->id, &which, err) < 0) {
        return -ERROR_INVALID;
    }
    int rc = txn_find(t, KIND_LATENCY, 0, c->id, &r, err);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0) {
        r = txn_new(t, KIND_LATENCY, false, c->id);
    }
    struct distribution *now = &((struct latency *)r)->distribution;
    if (r->seq != 0 && now->kind == c->request.latency.kind && now->a == c->request.latency.a &&
        now->b == c->request.latency.b) {
        change_answer(t, c, r);
        return 0;
    }
    *now = c->request.latency;
    rc = txn_put(t, r, err);
    if (rc == 0) {
        t->cloud->ledger.latencies[which] = c->request.latency;
        change_answer(t, c, r);
    }
    return rc;
}

int latency_delete(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r;
    enum transition which;

    if (transition_parse(c->id, &which, err) < 0) {
        return -ERROR_INVALID;
    }
    int rc = txn_load(t, KIND_LATENCY, 0, c->id, &r, err);
    if (rc == 0) {
        rc = txn_delete(t, r, err);
    }
    if (rc == 0) {
        t->cloud->ledger.latencies[which] = transition_default(which);
    }
    return rc;
}
