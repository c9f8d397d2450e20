// Editing the targets of a pool: thousands of them, so by sorted indices and never pairwise.
#include "sim/fault_cloud.h"
#include "sim/operation.h"
#include "sim/target_pool.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- finding ---

struct entry {
    const char *key; // instance id or address
    bool is_address;
    size_t at;
};

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->is_address != y->is_address)
        return x->is_address ? 1 : -1;
    return strcmp(x->key, y->key);
}

static int by_key_and_place(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = by_key(a, b);

    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static struct entry entry_of(const char *instance_id, const char *address, size_t at)
{
    return (struct entry){instance_id ? instance_id : address, !instance_id, at};
}

static struct entry *index_targets(struct arena *arena, const struct target_pool *pool)
{
    struct entry *index = arena_alloc(arena, (pool->target_count + 1) * sizeof(*index));

    for (size_t n = 0; n < pool->target_count; n++)
        index[n] = entry_of(pool->targets[n].instance_id, pool->targets[n].address, n);
    qsort(index, pool->target_count, sizeof(*index), by_key_and_place);
    return index;
}

static int refuse_duplicates(struct arena *arena, const struct target_ref *refs, size_t count,
                             struct error *err)
{
    struct entry *index = arena_alloc(arena, (count + 1) * sizeof(*index));
    char field[64];

    for (size_t n = 0; n < count; n++)
        index[n] = entry_of(refs[n].instance_id, refs[n].address, n);
    qsort(index, count, sizeof(*index), by_key_and_place);
    for (size_t n = 1; n < count; n++) {
        if (by_key(&index[n - 1], &index[n]) != 0)
            continue;
        snprintf(field, sizeof(field), "targets[%zu]", index[n].at);
        return error_set(err, ERROR_INVALID, field, "target %s is listed twice", index[n].key);
    }
    return 0;
}

// --- one target ---

// A rule may keep the transition from ending, once.
static bool is_held(struct txn *t, struct target_pool *pool, struct target *target)
{
    int64_t until;

    if (target_held(target) ||
        !fault_holds_target(t, target_machine.timers[target->health], &pool->r, &until))
        return false;
    target->health_reason = TARGET_HELD;
    target->due_ns = until;
    return true;
}

// Moves it into `next`, through what takes no time; returns whether it is gone.
static bool enter(struct txn *t, struct target_pool *pool, struct target *target,
                  enum target_health next)
{
    target->health_reason = NULL;
    target->due_ns = 0;
    for (;;) {
        int64_t duration;

        if (next == TARGET_GONE)
            return true;
        target->health = next;
        if (!target_machine.timers[next])
            return false;
        duration = txn_latency(t, target_machine.timers[next]);
        if (duration > 0) {
            target->due_ns = t->now_ns + duration;
            return false;
        }
        if (is_held(t, pool, target))
            return false;
        target->health_reason = NULL;
        if (target_step(next, TARGET_DEADLINE, &next) < 0)
            assert(!"a timed state ends with its deadline");
    }
}

static int observe(struct txn *t, const struct target_pool *pool, const struct target *target,
                   enum target_event *out, struct error *err)
{
    struct resource *found = NULL;
    int rc = 0;

    *out = TARGET_UP;
    if (!target->instance_id)
        return 0;
    rc = txn_find(t, KIND_INSTANCE, pool->r.project, target->instance_id, &found, err);
    if (rc < 0)
        return rc;
    *out = target_event_of((const struct instance *)found);
    return 0;
}

static int admit(struct txn *t, struct target_pool *pool, const struct target_ref *ref, size_t n,
                 struct target *out, struct error *err)
{
    struct target target = {.instance_id = ref->instance_id, .address = ref->address};
    enum target_event event;
    char field[64];
    int rc = observe(t, pool, &target, &event, err);

    if (rc < 0)
        return rc;
    if (event == TARGET_LOST) {
        snprintf(field, sizeof(field), "targets[%zu].instance_id", n);
        return error_set(err, ERROR_INVALID, field, "instance %s does not exist or is terminated",
                         ref->instance_id);
    }
    enter(t, pool, &target, TARGET_INITIAL);
    target_tell(&target, event);
    *out = target;
    return 0;
}

// --- the list ---

void target_pool_reschedule(struct target_pool *pool)
{
    int64_t next = 0;

    for (size_t n = 0; n < pool->target_count; n++) {
        int64_t due = pool->targets[n].due_ns;

        if (due && (!next || due < next))
            next = due;
    }
    pool->r.transition_ns = next;
}

static int check_size(const struct target_pool *pool, struct error *err)
{
    size_t count = 0;

    for (size_t n = 0; n < pool->target_count; n++)
        count += pool->targets[n].health != TARGET_DRAINING;
    if (count > TARGETS_MAX)
        return error_set(err, ERROR_INVALID, "targets", "a target pool has at most %d targets",
                         TARGETS_MAX);
    return 0;
}

// Adds what is not there; `kept` (of the pool's size before) tells which of the old ones were
// named.
static int merge(struct txn *t, struct target_pool *pool, const struct target_ref *refs,
                 size_t count, bool *kept, bool *changed, struct error *err)
{
    const struct entry *index = index_targets(t->arena, pool);
    size_t before = pool->target_count;
    struct target *list = arena_alloc(t->arena, (before + count + 1) * sizeof(*list));

    if (before > 0)
        memcpy(list, pool->targets, before * sizeof(*list));
    pool->targets = list;
    for (size_t n = 0; n < count; n++) {
        struct entry key = entry_of(refs[n].instance_id, refs[n].address, 0);
        const struct entry *found = bsearch(&key, index, before, sizeof(*index), by_key);
        struct target *place = found ? &list[found->at] : &list[pool->target_count];
        int rc;

        if (found)
            kept[found->at] = true;
        if (found && place->health != TARGET_DRAINING)
            continue;
        rc = admit(t, pool, &refs[n], n, place, err);
        if (rc < 0)
            return rc;
        pool->target_count += !found;
        *changed = true;
    }
    return 0;
}

// Starts to drain the first `count` targets but those that are `kept`.
static void drain_others(struct txn *t, struct target_pool *pool, const bool *kept, size_t count,
                         bool *changed)
{
    size_t left = 0;

    for (size_t n = 0; n < pool->target_count; n++) {
        struct target *target = &pool->targets[n];

        if (n < count && !kept[n] && target->health != TARGET_DRAINING) {
            *changed = true;
            if (enter(t, pool, target, TARGET_DRAINING))
                continue;
        }
        pool->targets[left++] = *target;
    }
    pool->target_count = left;
}

static int edit(struct txn *t, struct target_pool *pool, const struct target_ref *refs,
                size_t count, bool replace, bool *changed, struct error *err)
{
    size_t before = pool->target_count;
    bool *kept = arena_alloc(t->arena, before + 1);
    int rc = refuse_duplicates(t->arena, refs, count, err);

    if (rc == 0)
        rc = merge(t, pool, refs, count, kept, changed, err);
    if (rc < 0)
        return rc;
    if (replace)
        drain_others(t, pool, kept, before, changed);
    target_pool_reschedule(pool);
    return check_size(pool, err);
}

int target_pool_add(struct txn *t, struct target_pool *pool, const struct target_ref *refs,
                    size_t count, bool *changed, struct error *err)
{
    return edit(t, pool, refs, count, false, changed, err);
}

int target_pool_replace(struct txn *t, struct target_pool *pool, const struct target_ref *refs,
                        size_t count, bool *changed, struct error *err)
{
    return edit(t, pool, refs, count, true, changed, err);
}

static void drop(struct target_pool *pool, size_t n)
{
    pool->target_count--;
    memmove(&pool->targets[n], &pool->targets[n + 1],
            (pool->target_count - n) * sizeof(*pool->targets));
}

static int find(const struct target_pool *pool, const struct target_ref *ref, size_t *out,
                struct error *err)
{
    struct entry wanted = entry_of(ref->instance_id, ref->address, 0);

    for (size_t n = 0; n < pool->target_count; n++) {
        const struct target *target = &pool->targets[n];
        struct entry entry = entry_of(target->instance_id, target->address, n);

        if (by_key(&entry, &wanted) != 0)
            continue;
        *out = n;
        return 0;
    }
    return error_set(err, ERROR_NOT_FOUND, NULL, "target pool %s has no target %s", pool->r.id,
                     wanted.key);
}

int target_pool_remove(struct txn *t, struct target_pool *pool, const struct target_ref *ref,
                       bool *changed, struct error *err)
{
    size_t n;
    int rc = find(pool, ref, &n, err);

    if (rc < 0 || pool->targets[n].health == TARGET_DRAINING)
        return rc;
    if (enter(t, pool, &pool->targets[n], TARGET_DRAINING))
        drop(pool, n);
    target_pool_reschedule(pool);
    *changed = true;
    return 0;
}

// --- health checks ---

int target_pool_fail(struct txn *t, struct target_pool *pool, const struct target_ref *ref,
                     bool *changed, struct error *err)
{
    size_t n;
    int rc = find(pool, ref, &n, err);

    (void)t;
    if (rc == 0)
        *changed = target_tell(&pool->targets[n], TARGET_FAIL);
    return rc;
}

int target_pool_heal(struct txn *t, struct target_pool *pool, const struct target_ref *ref,
                     bool *changed, struct error *err)
{
    enum target_event event;
    size_t n;
    int rc = find(pool, ref, &n, err);

    if (rc == 0)
        rc = observe(t, pool, &pool->targets[n], &event, err);
    if (rc == 0 && operation_same(pool->targets[n].health_reason, TARGET_FAILED))
        *changed = target_tell(&pool->targets[n], event);
    return rc;
}

// --- deadlines ---

// The deadline of one target has passed; *out_gone: it is not listed any more.
static int fire_one(struct txn *t, struct target_pool *pool, struct target *target, bool *out_gone,
                    struct error *err)
{
    enum target_health next = target->health;
    enum target_event event;
    int rc;

    if (is_held(t, pool, target))
        return 0;

    if (target_step(target->health, TARGET_DEADLINE, &next) < 0)
        assert(!"only timed states have deadlines");
    *out_gone = enter(t, pool, target, next);
    if (*out_gone)
        return 0;
    rc = observe(t, pool, target, &event, err);
    if (rc == 0)
        target_tell(target, event);
    return rc;
}

int target_pool_fire(struct txn *t, struct target_pool *pool, struct error *err)
{
    size_t left = 0;

    for (size_t n = 0; n < pool->target_count; n++) {
        struct target *target = &pool->targets[n];
        bool gone = false;

        if (target->due_ns && target->due_ns <= t->now_ns) {
            int rc = fire_one(t, pool, target, &gone, err);

            if (rc < 0)
                return rc;
        }
        if (!gone)
            pool->targets[left++] = *target;
    }
    pool->target_count = left;
    target_pool_reschedule(pool);
    return 0;
}

void target_pool_let_go(struct target_pool *pool, int64_t now_ns)
{
    for (size_t n = 0; n < pool->target_count; n++) {
        if (target_held(&pool->targets[n]))
            pool->targets[n].due_ns = now_ns;
    }
    pool->r.held_by = NULL;
    target_pool_reschedule(pool);
}
