// Conditions on the calls that the API has answered, and when scenarios look at them again.
#include "base/clock.h"
#include "base/timefmt.h"
#include "sim/cloud_internal.h"
#include "sim/scenario_ops.h"

#include <inttypes.h>
#include <stdio.h>

#define NO_PROJECT (-1)
#define PER_MINUTE_SCALE 1000
#define MINUTE_NS (60 * NS_PER_S)

// --- counting ---

static int64_t ask(struct txn *t, const struct calls_wanted *wanted, int64_t project,
                   int64_t *out_began)
{
    struct call_watch *watch = &t->cloud->calls;
    struct calls_asked asked = {wanted->caller, wanted->operation, wanted->statuses, project};
    int64_t total = 0;

    *out_began = 0;
    pthread_mutex_lock(&watch->lock);
    if (watch->log)
        total = watch->log->total(watch->log, &asked, out_began);
    pthread_mutex_unlock(&watch->lock);
    return total;
}

void calls_begin(struct txn *t, const struct scenario *s, struct condition *conditions,
                 size_t count, bool with_scenario)
{
    for (size_t i = 0; i < count; i++) {
        struct calls_wanted *wanted = &conditions[i].calls;
        int64_t project;

        if (conditions[i].type != CONDITION_CALLS || wanted->since_start != with_scenario)
            continue;
        if (selector_project(t, s, wanted->project, &project, NULL) < 0)
            project = NO_PROJECT; // not there yet, so without calls
        wanted->base = ask(t, wanted, project, &wanted->began_ns);
        wanted->base_wall_ns = clock_wall();
    }
}

void calls_begin_scenario(struct txn *t, struct scenario *s)
{
    for (size_t i = 0; i < s->step_count; i++) {
        struct scenario_step *step = &s->steps[i];
        calls_begin(t, s, step->when, step->when_count, true);
        calls_begin(t, s, step->expect, step->expect_count, true);
    }
}

bool calls_awaited(const struct condition *conditions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (conditions[i].type == CONDITION_CALLS)
            return true;
    return false;
}

// --- judging ---

// As `mockcloud calls assert`: less than a minute counts as one.
static int64_t per_minute_of(int64_t count, int64_t elapsed_ns)
{
    double minutes = (double)elapsed_ns / (double)MINUTE_NS;

    return (int64_t)((double)count * PER_MINUTE_SCALE / (minutes > 1 ? minutes : 1));
}

static void describe(const struct calls_wanted *w, int64_t count, char *out, size_t size)
{
    snprintf(out, size, "%" PRId64 " call%s of %.80s by %.80s%s%.40s since the %s began", count,
             count == 1 ? "" : "s", w->operation ? w->operation : "any operation",
             w->caller ? w->caller : "anybody", w->statuses ? " with status " : "",
             w->statuses ? w->statuses : "", w->since_start ? "scenario" : "step");
}

// More calls than are known can only help these.
static bool is_lower_bound(const struct condition *condition)
{
    return condition->calls.per_minute < 0 &&
           (condition->comparison == IS_GREATER || condition->comparison == IS_AT_LEAST);
}

int calls_met(struct txn *t, const struct scenario_context *c, const struct condition *condition,
              bool *out, struct error *why, struct error *err)
{
    const struct calls_wanted *w = &condition->calls;
    int64_t project, began, count, rate;
    char what[320];
    int rc = selector_project(t, c->scenario, w->project, &project, err);

    if (rc < 0)
        return rc;
    count = ask(t, w, project, &began);
    count -= began == w->began_ns ? w->base : 0;
    rate = per_minute_of(count, clock_wall() - w->base_wall_ns);
    describe(w, count, what, sizeof(what));
    *out = false;
    if (began == 0)
        error_set(why, ERROR_PRECONDITION, "calls", "no call log is kept (serve --calls-kept 0)");
    else if (!comparison_holds(condition->comparison, count, condition->number))
        error_set(why, ERROR_PRECONDITION, "calls", "%s, expected %s %" PRId64, what,
                  comparison_signs[condition->comparison], condition->number);
    else if (w->per_minute >= 0 && rate > w->per_minute)
        error_set(why, ERROR_PRECONDITION, "calls", "%s: %.4g per minute, at most %.4g allowed",
                  what, (double)rate / PER_MINUTE_SCALE, (double)w->per_minute / PER_MINUTE_SCALE);
    else if (began != w->began_ns && !is_lower_bound(condition))
        error_set(why, ERROR_PRECONDITION, "calls",
                  "%s, but counting began anew meanwhile (a restart, or calls reset)", what);
    else
        *out = true;
    return 0;
}

// --- looking again ---

static int look_again(struct txn *t, struct change *c, struct error *err)
{
    (void)c;
    (void)err;
    atomic_store(&t->cloud->calls.asked, false); // first: what is counted from now on asks again
    t->cloud->ledger.looked_at = -1;             // nothing has changed, and yet
    return 0;
}

static void looked(struct change *c)
{
    struct cloud *cloud = c->context;

    atomic_store(&cloud->calls.asked, false); // also when it could not be applied
    change_free(c);
}

// Calls that come together share one look.
static void ask_for_look(struct cloud *cloud)
{
    struct change *c;

    if (atomic_exchange(&cloud->calls.asked, true))
        return;
    c = change_new(look_again, "scenario.step");
    if (!c) {
        atomic_store(&cloud->calls.asked, false);
        return;
    }
    c->cause = CAUSE_SCENARIO;
    c->done = looked;
    c->context = cloud;
    cloud_submit(cloud, c);
}

void cloud_call_counted(struct cloud *cloud)
{
    if (atomic_load(&cloud->calls.awaited) > 0)
        ask_for_look(cloud);
}

void calls_publish(struct cloud *cloud)
{
    int now = cloud->ledger.scenarios_awaiting_calls;
    int before = atomic_exchange(&cloud->calls.awaited, now);

    if (now > before && atomic_load(&cloud->calls.attached))
        ask_for_look(cloud); // a call between the step's beginning and its commit told nobody
}

void cloud_set_call_log(struct cloud *cloud, const struct call_log *log)
{
    pthread_mutex_lock(&cloud->calls.lock);
    cloud->calls.log = log;
    pthread_mutex_unlock(&cloud->calls.lock);
    atomic_store(&cloud->calls.attached, log != NULL);
}
