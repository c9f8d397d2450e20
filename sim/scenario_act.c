// What a scenario does and what it looks for.
#include "sim/actor.h"
#include "sim/cloud_internal.h"
#include "sim/scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// --- actions ---

static void push_undo(struct txn *t, struct scenario *s, const struct actor_undo *undo)
{
    struct scenario_undo *all = arena_alloc(t->arena, (s->undo_count + 1) * sizeof(*all));

    if (s->undo_count > 0)
        memcpy(all, s->undos, s->undo_count * sizeof(*all));
    all[s->undo_count++] = (struct scenario_undo){undo->operation, undo->id, undo->body};
    s->undos = all;
}

static void save_all(struct txn *t, struct scenario *s, const struct scenario_action *action,
                     const struct actor_call *call)
{
    for (size_t i = 0; i < action->save_count; i++)
        if (call->saves[i].value)
            scenario_set(t, s, action->saves[i].variable, call->saves[i].value);
}

static int apply(struct txn *t, struct scenario_context *c, const struct scenario_action *action,
                 struct actor_call *call, struct error *err)
{
    const struct actor *actor = t->cloud->actor;
    struct actor_answer answer = {0};
    struct txn inner = *t;
    int rc;

    if (!actor)
        return error_set(err, ERROR_UNAVAILABLE, NULL, "this cloud has no API to act through");
    inner.project = call->project;
    inner.project_name = call->project_name;
    rc = actor->apply(actor, &inner, call, &answer, err);
    if (rc < 0)
        return rc;
    save_all(t, c->scenario, action, call);
    if (answer.undo.operation)
        push_undo(t, c->scenario, &answer.undo);
    if (c->step)
        c->step->affected++;
    return 0;
}

// The call with its variables replaced.
static int fill(struct txn *t, struct scenario_context *c, const struct scenario_action *action,
                struct actor_call *call, struct error *err)
{
    const char *project;
    int rc = scenario_expand(t, c, action->part, false, &call->part, err);

    rc = rc < 0 ? rc : scenario_expand(t, c, action->body, true, &call->body, err);
    rc = rc < 0 ? rc : scenario_expand(t, c, action->select.project, false, &project, err);
    rc = rc < 0 ? rc : selector_project(t, c->scenario, project, &call->project, err);
    if (rc < 0)
        return rc;
    call->operation = action->operation;
    call->project_name = project ? project : c->scenario->r.project_name;
    call->wants_undo = !action->keep;
    call->save_count = action->save_count;
    call->saves = arena_alloc(t->arena, action->save_count * sizeof(*call->saves) + 1);
    for (size_t i = 0; i < action->save_count; i++)
        call->saves[i].path = action->saves[i].path;
    return 0;
}

static int unexpected(const struct scenario_action *action, const struct error *failed,
                      struct error *err)
{
    if (failed->code == ERROR_NONE)
        return error_set(err, ERROR_PRECONDITION, NULL, "%s succeeded, the error %s was expected",
                         action->operation, action->expect_error);
    return error_set(err, failed->code, failed->field, "%s: %s", action->operation,
                     failed->message);
}

// Of an action that may or must fail: undone alone.
static int apply_alone(struct txn *t, struct scenario_context *c,
                       const struct scenario_action *action, struct actor_call *call,
                       struct error *err)
{
    struct scenario before = *c->scenario;
    struct error failed = {0};
    struct txn_mark mark;
    int rc = txn_mark_set(t->cloud, &mark, err);

    if (rc < 0)
        return rc;
    rc = fill(t, c, action, call, &failed);
    rc = rc < 0 ? rc : apply(t, c, action, call, &failed);
    rc = txn_mark_end(t->cloud, &mark, rc, &failed);
    if (rc < 0)
        *c->scenario = before;
    if (failed.code == ERROR_STORAGE)
        return error_set(err, ERROR_STORAGE, NULL, "%s", failed.message);
    if (action->expect_error &&
        (rc == 0 || strcmp(error_string(failed.code), action->expect_error) != 0))
        return unexpected(action, &failed, err);
    return 0;
}

static int act_on(struct txn *t, struct scenario_context *c, const struct scenario_action *action,
                  const char *id, struct error *err)
{
    struct actor_call call = {.id = id};
    struct error failed = {0};
    int rc;

    c->target = id;
    if (action->may_fail || action->expect_error)
        return apply_alone(t, c, action, &call, err);
    rc = fill(t, c, action, &call, &failed);
    rc = rc < 0 ? rc : apply(t, c, action, &call, &failed);
    return rc < 0 ? unexpected(action, &failed, err) : 0;
}

// One id, or several that a variable holds.
static int act_on_each(struct txn *t, struct scenario_context *c,
                       const struct scenario_action *action, const char *ids, struct error *err)
{
    int rc = 0;

    for (const char *at = ids; rc == 0 && *at;) {
        size_t length = strcspn(at, ",");
        rc = act_on(t, c, action, arena_strndup(t->arena, at, length), err);
        at += length + (at[length] == ',');
    }
    return rc;
}

int scenario_act(struct txn *t, struct scenario_context *c, const struct scenario_action *action,
                 struct error *err)
{
    const char **ids, *id;
    size_t count = 0;
    int rc;

    if (!action->has_select) {
        rc = scenario_expand(t, c, action->id, false, &id, err);
        if (rc < 0 || !id)
            return rc < 0 ? rc : act_on(t, c, action, NULL, err);
        return act_on_each(t, c, action, id, err);
    }
    rc = selector_ids(t, c, &action->select, &ids, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = act_on(t, c, action, ids[i], err);
    return rc;
}

static int undo_one(struct txn *t, struct scenario_context *c, const struct scenario_undo *undo,
                    struct error *err)
{
    const struct scenario_action none = {0};
    struct actor_call call = {.operation = undo->operation,
                              .id = undo->id,
                              .body = undo->body,
                              .project = c->scenario->r.project,
                              .project_name = c->scenario->r.project_name};
    struct txn_mark mark;
    int rc = txn_mark_set(t->cloud, &mark, err);

    if (rc == 0)
        rc = txn_mark_end(t->cloud, &mark, apply(t, c, &none, &call, err), err);
    return rc;
}

void scenario_undo_all(struct txn *t, struct scenario *s)
{
    struct scenario_context c = {.scenario = s};

    while (s->undo_count > 0) {
        struct error err = {0};
        if (undo_one(t, &c, &s->undos[--s->undo_count], &err) < 0 && !s->cleanup_error &&
            err.code != ERROR_NOT_FOUND) // somebody, perhaps a step, has removed it already
            s->cleanup_error = arena_strdup(t->arena, err.message);
    }
}

// --- conditions ---

const char *const comparison_signs[] = {"==", "!=", "<", "<=", ">", ">="};

bool comparison_holds(enum comparison how, int64_t a, int64_t b)
{
    switch (how) {
    case IS_EQUAL:
        return a == b;
    case IS_NOT_EQUAL:
        return a != b;
    case IS_LESS:
        return a < b;
    case IS_AT_MOST:
        return a <= b;
    case IS_GREATER:
        return a > b;
    default:
        return a >= b;
    }
}

static int count_met(struct txn *t, struct scenario_context *c, const struct condition *condition,
                     bool *out, struct error *why, struct error *err)
{
    struct store_match match;
    int64_t count = 0;
    int rc = selector_match(t, c, &condition->what, &match, err);

    rc = rc < 0 ? rc : store_match_count(t->store, &match, &count, err);
    if (rc < 0)
        return rc;
    *out = comparison_holds(condition->comparison, count, condition->number);
    if (!*out)
        error_set(why, ERROR_PRECONDITION, "count", "%" PRId64 " of %s match, expected %s %" PRId64,
                  count, kind_name(match.kind), comparison_signs[condition->comparison],
                  condition->number);
    return 0;
}

static int event_met(struct txn *t, struct scenario_context *c, const struct condition *condition,
                     int64_t *since, bool *out, struct error *why, struct error *err)
{
    struct selector selector = condition->what;
    struct event_match match = {.since = *since,
                                .kind = selector.kind,
                                .type = condition->event_type,
                                .operation = condition->operation};
    struct store_match found;
    int rc;

    selector.kind = selector.kind < 0 ? KIND_INSTANCE : selector.kind; // any: has a project too
    rc = selector_match(t, c, &selector, &found, err);
    rc = rc < 0 ? rc : scenario_expand(t, c, selector.id, false, &match.id, err);
    if (rc < 0)
        return rc;
    match.project = found.project;
    match.where = found.where;
    match.where_count = found.where_count;
    rc = store_event_find(t->store, &match, t->arena, since, &c->event, err);
    *out = rc == 1;
    if (rc == 0)
        error_set(why, ERROR_PRECONDITION, "event", "no such event was seen");
    return rc < 0 ? rc : 0;
}

int conditions_met(struct txn *t, struct scenario_context *c, const struct condition *conditions,
                   size_t count, int64_t *since, bool *out, struct error *why, struct error *err)
{
    int64_t newest = *since;
    int rc = 0;

    *out = true;
    for (size_t i = 0; rc == 0 && *out && i < count; i++) {
        int64_t seen = *since;
        if (conditions[i].type == CONDITION_COUNT)
            rc = count_met(t, c, &conditions[i], out, why, err);
        else if (conditions[i].type == CONDITION_CALLS)
            rc = calls_met(t, c, &conditions[i], out, why, err);
        else
            rc = event_met(t, c, &conditions[i], &seen, out, why, err);
        newest = seen > newest ? seen : newest;
    }
    if (rc == 0 && *out)
        *since = newest;
    return rc;
}
