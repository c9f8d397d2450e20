#include "sim/rates.h"

#include "base/bucket.h"
#include "sim/cloud_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#define SLOTS 256

const char *const rate_class_names[RATE_CLASSES] = {"read", "list", "write"};

struct limiter { // of one project
    struct limiter *next;
    int64_t project;
    bool stands; // while reading them again
    bool limited[RATE_CLASSES];
    struct bucket_rule rules[RATE_CLASSES];
    struct bucket buckets[RATE_CLASSES];
};

struct rates {
    pthread_rwlock_t lock;
    atomic_size_t count; // 0: nobody is limited, and nobody takes the lock
    struct limiter *slots[SLOTS];
};

struct rates *rates_new(void)
{
    struct rates *r = calloc(1, sizeof(*r));

    if (r != NULL) {
        pthread_rwlock_init(&r->lock, NULL);
    }
    return r;
}

// Drops those that do not stand; all: each of them.
static void drop(struct rates *r, bool all)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct limiter **at = &r->slots[i];
        while (*at != NULL) {
            struct limiter *l = *at;
            if (l->stands && !all) {
                at = &l->next;
                continue;
            }
            *at = l->next;
            free(l);
            atomic_fetch_sub(&r->count, 1);
        }
    }
}

void rates_free(struct rates *r)
{
    if (r == NULL) {
        return;
    }
    drop(r, true);
    pthread_rwlock_destroy(&r->lock);
    free(r);
}

static struct limiter **slot_of(struct rates *r, int64_t project)
{
    return &r->slots[(uint64_t)project * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

static struct limiter *find(struct rates *r, int64_t project)
{
    struct limiter *l = *slot_of(r, project);

    while (l != NULL && l->project != project) {
        l = l->next;
    }
    return l;
}

// --- reading them ---

static struct limiter *find_or_add(struct rates *r, int64_t project)
{
    struct limiter *l = find(r, project);

    if (l != NULL) {
        return l;
    }
    l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return NULL;
    }
    l->project = project;
    l->next = *slot_of(r, project);
    *slot_of(r, project) = l;
    atomic_fetch_add(&r->count, 1);
    return l;
}

static void set_rule(struct limiter *l, const struct quota *q, enum rate_class class)
{
    struct bucket_rule rule = {0};
    bool limited = q->rates[class] > 0 &&
                   bucket_rule_make(q->rates[class], q->bursts[class], &rule, NULL) == 0;

    if (limited && l->limited[class] && l->rules[class].burst == rule.burst &&
        l->rules[class].interval_ns == rule.interval_ns) {
        return; // keeps its level
    }
    l->limited[class] = limited;
    l->rules[class] = rule;
    atomic_store(&l->buckets[class].full_at_ns, 0);
}

struct reading {
    struct cloud *cloud;
    struct arena arena;
};

static int load(void *context, const struct row *row, struct error *err)
{
    struct reading *reading = context;
    struct resource *r = record_from_row(KIND_QUOTA, row, &reading->arena, err);
    struct limiter *l;
    const struct quota *q = (const struct quota *)r;

    if (r == NULL) {
        return -ERROR_INTERNAL;
    }
    bool limited = false;
    for (int i = 0; i < RATE_CLASSES; i++) {
        limited = limited || q->rates[i] > 0;
    }
    if (!limited) {
        return 0;
    }
    l = find_or_add(reading->cloud->rates, r->project);
    if (l == NULL) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    l->stands = true;
    for (int i = 0; i < RATE_CLASSES; i++) {
        set_rule(l, q, (enum rate_class)i);
    }
    return 0;
}

int rates_reload(struct cloud *cloud, bool anew, struct error *err)
{
    struct reading reading = {.cloud = cloud};
    struct rates *rates = cloud->rates;

    arena_init(&reading.arena);
    pthread_rwlock_wrlock(&rates->lock);
    if (anew) {
        drop(rates, true);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        for (struct limiter *l = rates->slots[i]; l != NULL; l = l->next) {
            l->stands = false;
        }
    }
    int rc = store_each(cloud->store, KIND_QUOTA, 0, load, &reading, err);
    if (rc == 0) {
        drop(rates, false);
    }
    pthread_rwlock_unlock(&rates->lock);
    arena_fini(&reading.arena);
    return rc;
}

// --- taking ---

// Cloud time as the caller has to wait for it; a clock that stands says nothing better.
static int64_t real_wait(struct cloud *cloud, int64_t now_ns, int64_t wait_ns)
{
    if (wait_ns == 0) {
        return 0;
    }
    int64_t at = clock_monotonic_at(cloud->clock, now_ns + wait_ns);
    int64_t wait = at == INT64_MAX ? wait_ns : at - clock_monotonic();
    return wait > 0 ? wait : 0;
}

static void fill(struct cloud *cloud, const struct bucket_rule *rule, int64_t now_ns,
                 const struct bucket_view *view, struct rate_view *out)
{
    *out = (struct rate_view){
        .limit = rule->burst,
        .remaining = view->remaining,
        .retry_after_ns = real_wait(cloud, now_ns, view->retry_after_ns),
        .reset_ns = real_wait(cloud, now_ns, view->full_after_ns),
    };
}

int cloud_rate_take(struct cloud *cloud, int64_t project, enum rate_class class,
                    struct rate_view *out, struct error *err)
{
    struct rates *rates = cloud->rates;
    struct bucket_view view;
    bool limited = false, granted = true;

    *out = (struct rate_view){0};
    if (atomic_load_explicit(&rates->count, memory_order_acquire) == 0) {
        return 0;
    }
    int64_t now = clock_now(cloud->clock);
    pthread_rwlock_rdlock(&rates->lock);
    struct limiter *l = find(rates, project);
    if (l != NULL && l->limited[class]) {
        limited = true;
        granted = bucket_take(&l->buckets[class], &l->rules[class], now, &view);
        fill(cloud, &l->rules[class], now, &view, out);
    }
    pthread_rwlock_unlock(&rates->lock);
    if (limited && !granted) {
        return error_set(err, ERROR_THROTTLED, NULL,
                         "the project's bucket of %s operations is empty; it holds %" PRId64,
                         rate_class_names[class], out->limit);
    }
    return 0;
}

bool cloud_rate_look(struct cloud *cloud, int64_t project, enum rate_class class,
                     struct rate_view *out)
{
    struct rates *rates = cloud->rates;
    int64_t now = clock_now(cloud->clock);
    bool limited = false;

    pthread_rwlock_rdlock(&rates->lock);
    struct limiter *l = find(rates, project);
    if (l != NULL && l->limited[class]) {
        struct bucket_view view = bucket_look(&l->buckets[class], &l->rules[class], now);
        limited = true;
        fill(cloud, &l->rules[class], now, &view, out);
        out->rate = 1e9 / (double)l->rules[class].interval_ns;
    }
    pthread_rwlock_unlock(&rates->lock);
    return limited;
}
