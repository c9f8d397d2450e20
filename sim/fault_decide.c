// Deciding: which rules a call meets, which of those fire, and how a firing is told.
#include "base/glob.h"
#include "sim/cloud_internal.h"
#include "sim/fault_cloud.h"
#include "sim/fault_internal.h"

#include <stdlib.h>
#include <string.h>

#define QUEUED_MAX 256 // firings of one rule on their way to the writer

// Draws of one firing, as streams of random_u64.
enum { STREAM_DIE, STREAM_OF_FIRING };

// --- matching ---

bool fault_matches_transition(const char *pattern, enum fault_effect_type type)
{
    return type == FAULT_FAILED_TRANSITION ? transition_fails_like(pattern)
                                           : transition_like(pattern);
}

static bool is(const char *wanted, const char *given)
{
    return wanted == NULL || (given != NULL && strcmp(wanted, given) == 0);
}

static bool like(const char *glob, const char *given)
{
    return glob == NULL || (given != NULL && glob_match(glob, given));
}

static bool has_tag(const struct fault_target *t, const struct store_tag *wanted)
{
    for (size_t i = 0; i < t->tag_count; i++) {
        if (strcmp(t->tags[i].key, wanted->key) == 0) {
            return strcmp(t->tags[i].value, wanted->value) == 0;
        }
    }
    return false;
}

bool fault_selects(const struct fault *fault, const struct fault_target *t)
{
    const struct fault_selector *s = &fault->match.resource;

    if (!fault->match.has_resource) {
        return true;
    }
    if ((s->kind >= 0 && s->kind != t->kind) || !is(s->id, t->id) || !like(s->name, t->name) ||
        !is(s->zone, t->zone) || !is(s->type, t->type) || !is(s->state, t->state)) {
        return false;
    }
    for (size_t i = 0; i < s->tag_count; i++) {
        if (!has_tag(t, &s->tags[i])) {
            return false;
        }
    }
    return true;
}

// A call and what is found out about its target on the way.
struct asking {
    const struct fault_call *call;
    struct fault_target target;
    bool has_target, looked;
};

static bool selects(struct asking *a, const struct fault_rule *rule)
{
    const struct fault_selector *s = &rule->fault->match.resource;

    if (!rule->fault->match.has_resource) {
        return true;
    }
    if (!a->has_target || (s->kind >= 0 && s->kind != a->target.kind)) {
        return false;
    }
    if (a->call->many) { // what is to happen to one resource does not happen to lists of all
        return rule->place == FAULT_BIT(FAULT_AT_READ) || (s->id == NULL && !rule->wants_look);
    }
    if (!is(s->id, a->target.id)) {
        return false;
    }
    if (rule->wants_look && !a->looked && a->call->look != NULL) {
        a->looked = true;
        a->call->look(a->call->context, &a->target);
    }
    return fault_selects(rule->fault, &a->target);
}

static bool matches(struct asking *a, const struct fault_rule *rule)
{
    const struct fault *f = rule->fault;

    return (rule->place & a->call->places) != 0 &&
           (f->r.project == 0 || f->r.project == a->call->project) &&
           (f->effect.type != FAULT_ZONE_OUTAGE || is(f->effect.zone, a->target.zone)) &&
           (f->match.scope < 0 || f->match.scope == a->call->scope) && selects(a, rule) &&
           like(f->match.user_agent, a->call->user_agent);
}

// --- when ---

// Takes one of the `times`; returns which (from 1), 0 when they are used up.
static int64_t take_turn(struct fault_rule *rule)
{
    int64_t most = rule->fault->when.times;
    long long fired = atomic_load(&rule->counters->fired);

    do {
        if (most != 0 && fired >= most) {
            return 0;
        }
    } while (!atomic_compare_exchange_weak(&rule->counters->fired, &fired, fired + 1));
    return fired + 1;
}

// On the writer, the time of its step; else the clock's.
static bool is_time(struct cloud *cloud, const struct fault_call *call, const struct fault_when *w)
{
    if (w->from_ns == 0 && w->until_ns == 0) {
        return true;
    }
    int64_t now = call->txn != NULL ? call->txn->now_ns : clock_now(cloud->clock);
    return now >= w->from_ns && (w->until_ns == 0 || now < w->until_ns);
}

// Whether match number `ordinal` is one that fires.
static bool is_turn(const struct fault_when *w, int64_t ordinal, uint64_t seed)
{
    int64_t n = ordinal - w->after;

    return n > 0 && (w->first == 0 || n <= w->first) && (w->every == 0 || n % w->every == 0) &&
           (w->probability >= 1 || random_unit(seed, ordinal, STREAM_DIE) < w->probability);
}

// --- throttle ---

static int64_t clock_of(struct cloud *cloud, const struct fault_effect *e)
{
    return e->clock == FAULT_CLOCK_CLOUD ? clock_now(cloud->clock) : clock_monotonic();
}

// True: refused. The tightest bucket is what the client is told of.
static bool is_throttled(struct cloud *cloud, struct fault_rule *rule, struct fault_rate *out)
{
    struct bucket_view view;
    int64_t now = clock_of(cloud, &rule->fault->effect);
    bool taken = bucket_take(&rule->bucket, &rule->rate, now, &view);

    if (out->limit == 0 || view.remaining <= out->view.remaining) {
        out->limit = rule->rate.burst;
        out->view = view;
    }
    return !taken;
}

// --- firings, told ---

struct told { // the context of a queued firing
    struct fault_rule *rule;
    int64_t matched, fired;
};

static int write_told(struct txn *t, struct change *c, struct error *err)
{
    struct told *told = c->context;
    struct fault_rule *rule = told->rule;

    atomic_fetch_sub(&rule->counters->queued, 1);
    if (atomic_exchange(&rule->counters->behind, false)) {
        told->matched = atomic_load(&rule->counters->matched);
        told->fired = atomic_load(&rule->counters->fired);
    }
    struct change_firing *firing = arena_alloc(&c->arena, sizeof(*firing));
    *firing = (struct change_firing){rule->fault->r.id, told->matched, told->fired, false};
    c->firing = firing;
    int64_t before = t->cloud->ledger.revision;
    int rc =
        fault_write_firing(t->cloud, rule, c->operation, c->cause, told->matched, told->fired, err);
    firing->gone = rc == 0 && t->cloud->ledger.revision == before;
    return rc;
}

static void told_done(struct change *c)
{
    struct told *told = c->context;

    fault_rule_release(told->rule);
    change_free(c);
}

// From any thread but the writer. Under load firings of one rule are told together.
static void tell(struct cloud *cloud, struct fault_rule *rule, const char *operation,
                 int64_t matched, int64_t fired)
{
    if (atomic_load(&rule->counters->queued) >= QUEUED_MAX) {
        atomic_store(&rule->counters->behind, true);
        if (atomic_load(&rule->counters->queued) > 0) {
            return;
        }
    }
    struct change *c = change_new(write_told, operation);
    if (c == NULL) {
        abort();
    }
    struct told *told = arena_alloc(&c->arena, sizeof(*told));
    *told = (struct told){rule, matched, fired};
    fault_rule_keep(rule);
    atomic_fetch_add(&rule->counters->queued, 1);
    c->cause = CAUSE_API;
    c->done = told_done;
    c->context = told;
    cloud_submit(cloud, c);
}

int fault_write_firing(struct cloud *cloud, struct fault_rule *rule, const char *operation,
                       enum cause_type cause, int64_t matched, int64_t fired, struct error *err)
{
    struct txn t = {.cloud = cloud,
                    .store = cloud->store,
                    .arena = &cloud->arena,
                    .now_ns = cloud->step_ns,
                    .cause = cause,
                    .operation = operation,
                    .project = rule->fault->r.project,
                    .project_name = rule->fault->r.project_name};
    struct resource *r;

    int rc = txn_find(&t, KIND_FAULT, 0, rule->fault->r.id, &r, err);
    if (rc <= 0) {
        return rc;
    }
    struct fault_counts *counts = &((struct fault *)r)->counts;
    counts->matched = matched > counts->matched ? matched : counts->matched;
    counts->fired = fired > counts->fired ? fired : counts->fired;
    counts->last_fired_ns = t.now_ns;
    return txn_put_as(&t, r, EVENT_FIRED, err);
}

// --- deciding ---

static void add(struct cloud *cloud, const struct fault_call *call, struct fault_rule *rule,
                int64_t ordinal, int64_t fired, struct fault_verdict *out)
{
    atomic_store(&rule->counters->last_fired_ns, clock_now(cloud->clock));
    fault_rule_keep(rule);
    out->fired[out->count++] = (struct fault_fired){
        .fault = rule->fault,
        .rule = rule,
        .ordinal = ordinal,
        .seed = random_u64(rule->seed, ordinal, STREAM_OF_FIRING),
    };
    if (call->txn == NULL) {
        tell(cloud, rule, call->operation, ordinal, fired);
    } else {
        faults_note_fired(cloud->faults, rule, call->operation, call->txn->cause, ordinal, fired);
    }
}

// True: it fired, and no later rule is asked.
static bool ask(struct cloud *cloud, struct asking *a, struct fault_rule *rule,
                struct fault_verdict *out)
{
    const struct fault_when *when = &rule->fault->when;

    if (!matches(a, rule) || !is_time(cloud, a->call, when)) {
        return false;
    }
    if (a->call->txn != NULL) {
        faults_note_asked(cloud->faults, rule);
    }
    int64_t ordinal = atomic_fetch_add(&rule->counters->matched, 1) + 1;
    if (!is_turn(when, ordinal, rule->seed)) {
        return false;
    }
    if (rule->fault->effect.type == FAULT_THROTTLE && !is_throttled(cloud, rule, &out->rate)) {
        return false;
    }
    int64_t fired = take_turn(rule);
    if (fired == 0) {
        return false;
    }
    add(cloud, a->call, rule, ordinal, fired, out);
    return rule->terminal;
}

bool fault_any(struct cloud *cloud)
{
    return faults_any(cloud->faults);
}

// A cheap look before the rule itself is asked, which compares all again.
static bool may_meet(const struct fault_key *key, const struct fault_call *call, uint32_t id_hash)
{
    return (id_hash == 0 || key->id_hash == 0 || key->id_hash == id_hash) &&
           (key->place & call->places) != 0 && (key->project == 0 || key->project == call->project);
}

// Over the rules in order of creation: those that ask for no id, and those that may ask for this
// one; of a call about many, all.
struct walk {
    const struct fault_list *list;
    size_t general; // next of list->general
    uint32_t chain; // 1 + next of the chain; 0: its end
    uint32_t hash;  // of the id; 0: none is given
    size_t all;     // next of all
    bool many;
};

static struct walk walk_begin(const struct fault_list *list, const struct fault_call *call)
{
    struct walk w = {.list = list, .many = call->many};

    if (!w.many && call->target != NULL && call->target->id != NULL) {
        w.hash = fault_hash(call->target->id);
        w.chain = list->heads[w.hash & list->mask];
    }
    return w;
}

// Its position; list->count at the end.
static size_t walk_next(struct walk *w)
{
    const struct fault_list *list = w->list;

    if (w->many) {
        return w->all < list->count ? w->all++ : list->count;
    }
    size_t general = w->general < list->general_count ? list->general[w->general] : list->count;
    size_t chain = w->chain != 0 ? w->chain - 1 : list->count;
    if (general < chain) {
        w->general++;
        return general;
    }
    if (chain < list->count) {
        w->chain = list->nexts[chain];
    }
    return chain;
}

void fault_decide(struct cloud *cloud, const struct fault_call *call, struct fault_verdict *out)
{
    out->count = 0;
    out->rate.limit = 0;
    struct fault_index *index = faults_acquire(cloud->faults);
    if (index == NULL) {
        return;
    }
    int kind = call->target == NULL ? -1 : (int)call->target->kind;
    struct fault_list list = fault_index_find(index, call->operation, kind);
    struct asking a = {.call = call, .has_target = call->target != NULL};
    bool ended = false;

    if (a.has_target) {
        a.target = *call->target;
    }
    struct walk walk = walk_begin(&list, call);
    for (size_t i = walk_next(&walk); i < list.count && !ended && out->count < FAULT_FIRED_MAX;
         i = walk_next(&walk)) {
        if (may_meet(&list.keys[i], call, walk.hash)) {
            ended = ask(cloud, &a, list.rules[i], out);
        }
    }
    fault_index_release(index);
}

// Not what only some instances or only some calls meet.
static bool downs_zone(const struct fault_rule *rule, struct txn *t, const char *zone)
{
    const struct fault *f = rule->fault;
    const struct fault_when *w = &f->when;
    const struct fault_call call = {.txn = t};

    return f->effect.type == FAULT_ZONE_OUTAGE && rule->place != 0 &&
           strcmp(f->effect.zone, zone) == 0 && (f->r.project == 0 || f->r.project == t->project) &&
           !f->match.has_resource && f->match.scope < 0 && f->match.user_agent == NULL &&
           w->after == 0 && w->first == 0 && w->every == 0 && w->probability >= 1 &&
           w->times == 0 && is_time(t->cloud, &call, w);
}

bool fault_zone_is_down(struct txn *t, const char *zone)
{
    struct fault_index *index = faults_acquire(t->cloud->faults);
    bool down = false;

    if (index == NULL || t->operation == NULL) {
        fault_index_release(index);
        return false;
    }
    struct fault_list list = fault_index_find(index, t->operation, -1);
    for (size_t i = 0; i < list.count && !down; i++) {
        down = downs_zone(list.rules[i], t, zone);
    }
    fault_index_release(index);
    return down;
}

void fault_verdict_fini(struct fault_verdict *v)
{
    for (size_t i = 0; i < v->count; i++) {
        fault_rule_release(v->fired[i].rule);
    }
    v->count = 0;
}

const struct fault_fired *fault_verdict_find(const struct fault_verdict *v,
                                             enum fault_effect_type type)
{
    for (size_t i = 0; i < v->count; i++) {
        if (v->fired[i].fault->effect.type == type) {
            return &v->fired[i];
        }
    }
    return NULL;
}

int fault_stats(struct cloud *cloud, const char *id, struct buffer *out, struct error *err)
{
    struct fault_counts counts;
    struct json_writer w;
    int64_t times;

    if (!faults_current(cloud->faults, id, &counts, &times)) {
        return error_set(err, ERROR_NOT_FOUND, NULL, "fault %s does not exist", id);
    }
    jw_init(&w, out);
    fault_encode_counts(times, &counts, &w);
    return 0;
}
