// The machine of a scenario: which step's turn it is, what it waits for, what follows.
#include "sim/cloud_internal.h"
#include "sim/scenario_ops.h"

#include <string.h>

#define FIRINGS_AT_ONCE 1000 // of one scenario at one instant: more is a step that sets itself off

// --- steps ---

static bool has_ended(const struct scenario_step *step)
{
    return step->state >= STEP_SUCCEEDED;
}

// Of its own accord: those in the background that have no end finish with the others.
static bool has_an_end(const struct scenario_step *step)
{
    if (step->trigger == TRIGGER_EVERY)
        return step->count > 0 || step->until_ns > 0;
    return step->trigger != TRIGGER_WHEN || step->timeout_ns > 0;
}

static bool is_watching(const struct scenario_step *step)
{
    return step->state == STEP_CHECKING ||
           (step->state == STEP_WAITING && step->trigger == TRIGGER_WHEN);
}

// Of what it is waiting for.
static bool awaits_calls(const struct scenario_step *step)
{
    if (step->state == STEP_CHECKING)
        return calls_awaited(step->expect, step->expect_count);
    return is_watching(step) && calls_awaited(step->when, step->when_count);
}

static void finish_step(struct txn *t, struct scenario_step *step, enum step_state state)
{
    step->state = state;
    step->due_ns = 0;
    step->ended_ns = t->now_ns;
}

static void arm(struct txn *t, const struct scenario *s, struct scenario_step *step)
{
    step->state = STEP_WAITING;
    step->armed_ns = t->now_ns;
    step->since = t->cloud->ledger.revision;
    calls_begin(t, s, step->when, step->when_count, false);
    if (step->trigger == TRIGGER_AT)
        step->due_ns = s->started_ns + step->ns;
    else if (step->trigger == TRIGGER_WHEN)
        step->due_ns = step->timeout_ns > 0 ? t->now_ns + step->timeout_ns : 0;
    else
        step->due_ns = t->now_ns + step->ns;
}

// Another firing, if it has one.
static void rearm(struct txn *t, const struct scenario *s, struct scenario_step *step)
{
    bool again = step->trigger == TRIGGER_EVERY || step->trigger == TRIGGER_WHEN;

    step->state = STEP_WAITING;
    if (step->trigger == TRIGGER_EVERY) // by plan, not from now: it does not drift
        step->due_ns = step->armed_ns + (step->fired + 1) * step->ns;
    else
        step->due_ns = step->timeout_ns > 0 ? t->now_ns + step->timeout_ns : 0;
    if (!again || (step->count > 0 && step->fired >= step->count) ||
        (step->until_ns > 0 && step->due_ns > s->started_ns + step->until_ns))
        finish_step(t, step, STEP_SUCCEEDED);
    else
        calls_begin(t, s, step->when, step->when_count, false);
}

// The step fails, and the scenario with it unless the step may.
static void fail_step(struct txn *t, struct scenario *s, struct scenario_step *step,
                      const struct error *why)
{
    step->error_code = error_string(why->code);
    step->error_message = arena_strdup(t->arena, why->message);
    finish_step(t, step, step->may_fail ? STEP_SKIPPED : STEP_FAILED);
    if (step->may_fail)
        return;
    s->r.reason_code = "step-failed";
    s->r.reason_message =
        arena_printf(t->arena, "%s:%d: step \"%s\": %s%s%s", s->file ? s->file : "scenario",
                     step->line, step->name, why->field, why->field[0] ? ": " : "", why->message);
    scenario_end(t, s, SCENARIO_FAILED);
}

// --- firing ---

static int act_all(struct txn *t, struct scenario_context *c, const struct scenario_action *actions,
                   size_t count, int repeat, struct error *err)
{
    int rc = 0;

    for (int n = 1; rc == 0 && n <= repeat; n++) {
        c->index = n;
        for (size_t i = 0; rc == 0 && i < count; i++)
            rc = scenario_act(t, c, &actions[i], err);
    }
    return rc;
}

// All actions of one firing, or none of them.
static int act_together(struct txn *t, struct scenario_context *c, struct error *err)
{
    struct scenario_step *step = c->step, before_step = *step;
    struct scenario before = *c->scenario;
    struct txn_mark mark;
    int rc = txn_mark_set(t->cloud, &mark, err);

    if (rc < 0)
        return rc;
    rc = act_all(t, c, step->actions, step->action_count, step->repeat, err);
    rc = txn_mark_end(t->cloud, &mark, rc, err);
    if (rc < 0) {
        *c->scenario = before;
        *step = before_step;
    }
    return rc;
}

static int fire(struct txn *t, struct scenario_context *c, struct error *err)
{
    struct scenario_step *step = c->step;
    int64_t before = t->cloud->ledger.revision;
    struct error failed = {0};

    if (step->started_ns == 0)
        step->started_ns = t->now_ns;
    calls_begin(t, c->scenario, step->expect, step->expect_count, false);
    if (act_together(t, c, &failed) < 0) {
        if (failed.code == ERROR_STORAGE)
            return error_set(err, ERROR_STORAGE, NULL, "%s", failed.message);
        fail_step(t, c->scenario, step, &failed);
        return 0;
    }
    if (step->expect_count == 0) {
        step->fired++;
        rearm(t, c->scenario, step);
        return 0;
    }
    step->state = STEP_CHECKING;
    step->checks_ns = t->now_ns;
    step->due_ns = t->now_ns + step->expect_ns;
    if (step->trigger != TRIGGER_WHEN) // whose own events are still counted from the one it saw
        step->since = before;
    return 0;
}

static int wait_for_time(struct txn *t, struct scenario_context *c, bool *out_moved,
                         struct error *err)
{
    if (c->step->due_ns > t->now_ns)
        return 0;
    *out_moved = true;
    return fire(t, c, err);
}

static int wait_for_change(struct txn *t, struct scenario_context *c, bool *out_moved,
                           struct error *err)
{
    struct scenario_step *step = c->step;
    struct error why = {0};
    bool met;
    int rc = conditions_met(t, c, step->when, step->when_count, &step->since, &met, &why, err);

    if (rc < 0)
        return rc;
    *out_moved = met || (step->due_ns != 0 && step->due_ns <= t->now_ns);
    if (met)
        return fire(t, c, err);
    if (*out_moved)
        fail_step(t, c->scenario, step, &why);
    return 0;
}

static int check(struct txn *t, struct scenario_context *c, bool *out_moved, struct error *err)
{
    struct scenario_step *step = c->step;
    bool is_late = step->due_ns <= t->now_ns, met;
    int64_t since = step->since;
    struct error why = {0};
    int rc = conditions_met(t, c, step->expect, step->expect_count, &since, &met, &why, err);

    if (rc < 0)
        return rc;
    if (met != step->during || is_late) {
        *out_moved = true;
        if (!met) {
            fail_step(t, c->scenario, step, &why);
        } else {
            step->fired++;
            rearm(t, c->scenario, step);
        }
    }
    return 0;
}

static int try_step(struct txn *t, struct scenario_context *c, bool *out_moved, struct error *err)
{
    if (c->step->state == STEP_CHECKING)
        return check(t, c, out_moved, err);
    if (c->step->state != STEP_WAITING)
        return 0;
    if (c->step->trigger == TRIGGER_WHEN)
        return wait_for_change(t, c, out_moved, err);
    return wait_for_time(t, c, out_moved, err);
}

// --- the whole ---

// What cannot be told as an error of the step itself, such as a variable without a value.
static int try_or_fail(struct txn *t, struct scenario *s, struct scenario_step *step,
                       bool *out_moved, struct error *err)
{
    struct scenario_context c = {.scenario = s, .step = step};
    struct error failed = {0};

    if (try_step(t, &c, out_moved, &failed) == 0)
        return 0;
    if (failed.code == ERROR_STORAGE)
        return error_set(err, ERROR_STORAGE, NULL, "%s", failed.message);
    *out_moved = true;
    fail_step(t, s, step, &failed);
    return 0;
}

// One pass over the steps in their order.
static int pass(struct txn *t, struct scenario *s, int *firings, bool *out_moved, struct error *err)
{
    bool reached = true;

    for (size_t i = 0; i < s->step_count && s->r.state == SCENARIO_RUNNING; i++) {
        struct scenario_step *step = &s->steps[i];
        bool moved = false;
        int rc;

        if (reached && step->state == STEP_PENDING) {
            arm(t, s, step);
            *out_moved = true;
        }
        rc = try_or_fail(t, s, step, &moved, err);
        if (rc < 0)
            return rc;
        if (moved && ++*firings > FIRINGS_AT_ONCE)
            fail_step(
                t, s, step,
                &(struct error){.code = ERROR_STATE, .message = "it sets itself off for ever"});
        *out_moved |= moved;
        reached = reached && (step->background || has_ended(step));
    }
    return 0;
}

static bool is_done(const struct scenario *s)
{
    bool done = true;

    for (size_t i = 0; i < s->step_count; i++) {
        const struct scenario_step *step = &s->steps[i];
        done = done && (has_ended(step) ||
                        (step->background && !has_an_end(step) && step->state == STEP_WAITING));
    }
    return done;
}

int scenario_advance(struct txn *t, struct scenario *s, bool *out_moved, struct error *err)
{
    int firings = 0, rc = 0;
    bool moved = true;

    *out_moved = false;
    while (rc == 0 && moved && s->r.state == SCENARIO_RUNNING) {
        moved = false;
        rc = pass(t, s, &firings, &moved, err);
        *out_moved |= moved;
    }
    if (rc == 0 && s->r.state == SCENARIO_RUNNING && is_done(s)) {
        scenario_end(t, s, SCENARIO_SUCCEEDED);
        *out_moved = true;
    }
    return rc;
}

// --- the end ---

static void end_steps(struct txn *t, struct scenario *s)
{
    for (size_t i = 0; i < s->step_count; i++) {
        struct scenario_step *step = &s->steps[i];
        if (!has_ended(step))
            finish_step(t, step, step->fired > 0 ? STEP_SUCCEEDED : STEP_SKIPPED);
    }
}

// Each action by itself: one that fails does not keep the others from being tried.
static void clean_up(struct txn *t, struct scenario *s, const struct scenario_action *actions,
                     size_t count)
{
    struct scenario_context c = {.scenario = s, .index = 1};

    for (size_t i = 0; i < count; i++) {
        struct error err = {0};
        struct txn_mark mark;
        int rc = txn_mark_set(t->cloud, &mark, &err);

        if (rc == 0)
            rc = txn_mark_end(t->cloud, &mark, scenario_act(t, &c, &actions[i], &err), &err);
        if (rc < 0 && !s->cleanup_error)
            s->cleanup_error = arena_strdup(t->arena, err.message);
    }
}

void scenario_end(struct txn *t, struct scenario *s, enum scenario_state state)
{
    s->r.state = (int)state; // first: what follows does not end it again
    end_steps(t, s);
    if (state == SCENARIO_FAILED)
        clean_up(t, s, s->on_failure, s->on_failure_count);
    clean_up(t, s, s->cleanup, s->cleanup_count);
    scenario_undo_all(t, s);
    s->ended_ns = t->now_ns;
}

static int64_t next_deadline(const struct scenario *s)
{
    int64_t first = 0;

    for (size_t i = 0; i < s->step_count; i++) {
        int64_t due = s->steps[i].due_ns;
        if (due != 0 && (first == 0 || due < first))
            first = due;
    }
    return first;
}

int scenario_write(struct txn *t, struct scenario *s, struct error *err)
{
    bool watched = s->watches, awaited = s->awaits_calls;

    s->watches = s->awaits_calls = false;
    for (size_t i = 0; i < s->step_count; i++) {
        s->watches |= is_watching(&s->steps[i]);
        s->awaits_calls |= awaits_calls(&s->steps[i]);
    }
    s->r.transition_ns = next_deadline(s);
    t->cloud->ledger.scenarios_watching += (int)s->watches - (int)watched;
    t->cloud->ledger.scenarios_awaiting_calls += (int)s->awaits_calls - (int)awaited;
    return txn_put(t, &s->r, err);
}
