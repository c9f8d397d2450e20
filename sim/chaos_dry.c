// A dry run: who would be down by now, and until when. The list of those that are down holds the
// plan: NONE would run again when it is due, GONE would have ended then and is not struck any more,
// END_FAULT is a zone that would be down until then. What a transition would take is drawn from its
// latency, as the real one is.
#include "sim/chaos_internal.h"
#include "sim/instance.h"

#include <string.h>

static void add(struct txn *t, struct chaos *c, enum chaos_remedy remedy, const char *id,
                const char *zone, int64_t due_ns)
{
    struct chaos_later *later = chaos_later_add(t, c, 1, remedy, due_ns);

    later->id = id;
    later->zone = zone;
}

// When one that is ended at a time is back, or gone.
static void end(struct txn *t, struct chaos *c, const struct instance *i, int64_t at_ns,
                int64_t down_ns)
{
    if (c->set.respawn)
        add(t, c, REMEDY_NONE, i->r.id, i->zone,
            at_ns + down_ns + txn_latency(t, "instance.pending"));
    else
        add(t, c, REMEDY_GONE, i->r.id, i->zone, at_ns + txn_latency(t, "instance.terminating"));
}

// When one that is stopped now runs again.
static int64_t back_at(struct txn *t, int64_t down_ns)
{
    int64_t stopping = txn_latency(t, "instance.stopping");
    int64_t pending = txn_latency(t, "instance.pending");

    return t->now_ns + (down_ns > stopping ? down_ns : stopping) + pending;
}

int chaos_dry_strike(struct txn *t, struct chaos *c, enum chaos_action action,
                     const struct instance *i, int64_t down_ns, struct error *err)
{
    int64_t now = t->now_ns;
    int rc = 0;

    if (action == CHAOS_STOP || action == CHAOS_TERMINATE)
        rc = instance_may_go_down(t, i, false, err);
    if (rc < 0)
        return rc;
    if (action == CHAOS_TERMINATE)
        end(t, c, i, now, down_ns);
    else if (action == CHAOS_INTERRUPT)
        end(t, c, i, now + c->set.notice_ns, down_ns);
    else if (action == CHAOS_STOP)
        add(t, c, REMEDY_NONE, i->r.id, i->zone, back_at(t, down_ns));
    else
        add(t, c, REMEDY_NONE, i->r.id, i->zone, now + txn_latency(t, "instance.rebooting"));
    return 0;
}

void chaos_dry_outage(struct txn *t, struct chaos *c, const struct chaos_fall *fall, int64_t until)
{
    const char *zone = c->last_zone;
    struct chaos_later *later;

    for (size_t i = 0; i < c->later_count; i++) // nobody comes back in it meanwhile
        if (c->later[i].remedy == REMEDY_NONE && c->later[i].due_ns < until &&
            strcmp(c->later[i].zone, zone) == 0)
            c->later[i].due_ns = until + txn_latency(t, "instance.pending");
    add(t, c, REMEDY_END_FAULT, "", zone, until);
    if (!chaos_must_watch(c, CHAOS_ZONE_OUTAGE))
        return;
    later = chaos_later_add(t, c, fall->count, REMEDY_NONE, until);
    for (size_t i = 0; i < fall->count; i++) {
        later[i].id = fall->ids[i];
        later[i].zone = zone;
        later[i].due_ns += txn_latency(t, "instance.pending");
    }
}

void chaos_dry_watch(struct chaos *c, int64_t now_ns)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->later_count; i++)
        if (c->later[i].remedy == REMEDY_GONE || c->later[i].due_ns > now_ns)
            c->later[kept++] = c->later[i];
    c->later_count = kept;
}
