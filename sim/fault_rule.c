// A rule that stands: what is worked out of its record once, and its counters.
#include "sim/fault_internal.h"
#include "sim/pack.h"
#include "sim/txn.h"

#include <stdlib.h>
#include <string.h>

// A copy that lives by itself: packed and unpacked again.
static const struct fault *copy_of(const struct fault *fault, struct arena *arena)
{
    struct fault *copy = arena_alloc(arena, sizeof(*copy));
    struct buffer packed;

    buffer_init(&packed);
    fault_kind.pack(&fault->r, &packed);
    if (packed.failed) {
        abort();
    }
    char *bytes = arena_alloc(arena, packed.length + 1);
    memcpy(bytes, packed.data, packed.length);
    struct unpacker in = {.at = (const unsigned char *)bytes,
                          .end = (const unsigned char *)bytes + packed.length,
                          .version = INT32_MAX};
    copy->r = fault->r;
    copy->r.id = arena_strdup(arena, fault->r.id);
    copy->r.name = arena_strdup(arena, fault->r.name);
    copy->r.project_name = arena_strdup(arena, fault->r.project_name);
    fault_kind.unpack(&copy->r, &in, arena);
    buffer_fini(&packed);
    return copy;
}

static bool is_terminal(enum fault_effect_type type)
{
    switch (type) {
    case FAULT_LATENCY:
    case FAULT_STALE_READ:
    case FAULT_HIDE_NEW:
    case FAULT_REORDER:
    case FAULT_WRONG_ANSWER:
    case FAULT_STREAM_LAG:
    case FAULT_STREAM_DUPLICATE:
        return false;
    default:
        return true;
    }
}

static struct fault_counters *counters_new(const struct fault_counts *counts)
{
    struct fault_counters *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        abort();
    }
    atomic_init(&c->references, 1);
    atomic_init(&c->matched, counts->matched);
    atomic_init(&c->fired, counts->fired);
    atomic_init(&c->last_fired_ns, counts->last_fired_ns);
    return c;
}

static struct fault_counters *counters_keep(struct fault_counters *c)
{
    atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
    return c;
}

static void counters_release(struct fault_counters *c)
{
    if (atomic_fetch_sub(&c->references, 1) == 1) {
        free(c);
    }
}

struct fault_rule *fault_rule_new(uint64_t seed, const struct fault *fault,
                                  const struct fault_rule *before)
{
    struct fault_rule *rule = calloc(1, sizeof(*rule));

    if (rule == NULL) {
        abort();
    }
    arena_init(&rule->arena);
    const struct fault *f = rule->fault = copy_of(fault, &rule->arena);
    const struct fault_selector *s = &f->match.resource;
    rule->seed = random_u64(seed, f->r.seq, UINT32_C(0x6661756c)); // "faul"
    rule->place = f->off ? 0 : FAULT_BIT(fault_place_of(f->effect.type));
    rule->terminal = is_terminal(f->effect.type);
    if (f->effect.type == FAULT_THROTTLE) {
        bucket_rule_make(f->effect.rate, f->effect.burst, &rule->rate, NULL);
    }
    rule->wants_look = s->name || s->zone || s->type || s->state || s->tag_count > 0;
    atomic_init(&rule->references, 1);
    rule->counters = before ? counters_keep(before->counters) : counters_new(&f->counts);
    return rule;
}

void fault_rule_keep(struct fault_rule *rule)
{
    atomic_fetch_add_explicit(&rule->references, 1, memory_order_relaxed);
}

void fault_rule_release(struct fault_rule *rule)
{
    if (rule != NULL && atomic_fetch_sub(&rule->references, 1) == 1) {
        counters_release(rule->counters);
        arena_fini(&rule->arena);
        free(rule);
    }
}
