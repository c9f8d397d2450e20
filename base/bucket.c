#include "base/bucket.h"

#include <math.h>

#define NS_PER_SECOND 1e9

int bucket_rule_make(double rate, int64_t burst, struct bucket_rule *out, struct error *err)
{
    if (!(rate >= BUCKET_RATE_MIN && rate <= BUCKET_RATE_MAX))
        return error_set(err, ERROR_INVALID, "rate", "must be %g to %g per second", BUCKET_RATE_MIN,
                         BUCKET_RATE_MAX);
    if (burst < 0 || burst > BUCKET_BURST_MAX)
        return error_set(err, ERROR_INVALID, "burst", "must be 1 to %lld",
                         (long long)BUCKET_BURST_MAX);
    out->interval_ns = llround(NS_PER_SECOND / rate);
    out->burst = burst > 0 ? burst : (int64_t)ceil(rate);
    return 0;
}

// What is missing from a full bucket, as the time that it takes to come back.
static int64_t missing_ns(int64_t full_at_ns, int64_t now_ns)
{
    return full_at_ns > now_ns ? full_at_ns - now_ns : 0;
}

static struct bucket_view view(const struct bucket_rule *rule, int64_t missing)
{
    int64_t capacity = rule->burst * rule->interval_ns;
    int64_t there = missing < capacity ? capacity - missing : 0;

    return (struct bucket_view){
        .remaining = there / rule->interval_ns,
        .retry_after_ns = there < rule->interval_ns ? missing - capacity + rule->interval_ns : 0,
        .full_after_ns = missing,
    };
}

struct bucket_view bucket_look(const struct bucket *b, const struct bucket_rule *rule,
                               int64_t now_ns)
{
    return view(rule, missing_ns(atomic_load(&b->full_at_ns), now_ns));
}

bool bucket_take(struct bucket *b, const struct bucket_rule *rule, int64_t now_ns,
                 struct bucket_view *out)
{
    long long full_at = atomic_load(&b->full_at_ns);
    struct bucket_view now;
    int64_t missing;
    bool taken;

    do {
        missing = missing_ns(full_at, now_ns);
        now = view(rule, missing);
        taken = now.remaining > 0;
    } while (taken && !atomic_compare_exchange_weak(&b->full_at_ns, &full_at,
                                                    now_ns + missing + rule->interval_ns));
    if (out)
        *out = taken ? view(rule, missing + rule->interval_ns) : now;
    return taken;
}
