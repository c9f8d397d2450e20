// How a scenario is stored and shown.
#include "base/timefmt.h"
#include "sim/packed.h"
#include "sim/scenario.h"
#include "sim/scenario_ops.h"
#include "sim/txn.h"

#include <string.h>

const char *const step_state_names[] = {"pending", "waiting", "checking", "succeeded",
                                        "failed",  "skipped", NULL};
const char *const step_trigger_names[] = {"after", "at", "every", "when", NULL};
static const char *const scenario_state_names[] = {"running", "succeeded", "failed", "stopped",
                                                   NULL};

// --- packed ---

static const struct packed_field selector_fields[] = {
    PACKED_OF(INT, selector, kind),
    PACKED_OF(STRING, selector, project),
    PACKED_OF(STRING, selector, id),
    PACKED_OF(STRING, selector, name),
    PACKED_OF(STRING, selector, columns[0]),
    PACKED_OF(STRING, selector, columns[1]),
    PACKED_OF(STRING, selector, columns[2]),
    PACKED_OF(UINT32, selector, states),
    PACKED_LIST_OF(selector, tags, tag_count, store_tag, packed_tag_fields),
    PACKED_LIST_OF(selector, where, where_count, store_tag, packed_tag_fields),
    PACKED_OF(INT, selector, random_count),
    PACKED_OF(INT, selector, random_percent),
    PACKED_OF(BOOL, selector, allow_none),
    PACKED_END};

static const struct packed_field calls_fields[] = {
    PACKED_OF(STRING, calls_wanted, caller),    PACKED_OF(STRING, calls_wanted, operation),
    PACKED_OF(STRING, calls_wanted, statuses),  PACKED_OF(STRING, calls_wanted, project),
    PACKED_OF(INT64, calls_wanted, per_minute), PACKED_OF(BOOL, calls_wanted, since_start),
    PACKED_OF(INT64, calls_wanted, base),       PACKED_OF(INT64, calls_wanted, base_wall_ns),
    PACKED_OF(INT64, calls_wanted, began_ns),   PACKED_END};

static const struct packed_field condition_fields[] = {
    PACKED_ENUM(condition, type, CONDITIONS),
    PACKED_PART(condition, what, selector_fields),
    PACKED_ENUM(condition, comparison, COMPARISONS),
    PACKED_OF(INT64, condition, number),
    PACKED_OF(INT, condition, event_type),
    PACKED_OF(STRING, condition, operation),
    PACKED_PART_SINCE(3, condition, calls, calls_fields),
    PACKED_END};

static const struct packed_field save_fields[] = {PACKED_OF(STRING, save, variable),
                                                  PACKED_OF(STRING, save, path), PACKED_END};

static const struct packed_field action_fields[] = {
    PACKED_OF(STRING, scenario_action, operation),
    PACKED_OF(STRING, scenario_action, id),
    PACKED_OF(STRING, scenario_action, part),
    PACKED_OF(STRING, scenario_action, body),
    PACKED_OF(BOOL, scenario_action, has_select),
    PACKED_PART(scenario_action, select, selector_fields),
    PACKED_LIST_OF(scenario_action, saves, save_count, save, save_fields),
    PACKED_OF(STRING, scenario_action, expect_error),
    PACKED_OF(BOOL, scenario_action, may_fail),
    PACKED_OF(BOOL, scenario_action, keep),
    PACKED_OF(INT, scenario_action, line),
    PACKED_END};

static const struct packed_field step_fields[] = {
    PACKED_OF(STRING, scenario_step, name),
    PACKED_OF(INT, scenario_step, line),
    PACKED_ENUM(scenario_step, trigger, TRIGGERS),
    PACKED_OF(INT64, scenario_step, ns),
    PACKED_OF(INT64, scenario_step, count),
    PACKED_OF(INT64, scenario_step, until_ns),
    PACKED_OF(INT64, scenario_step, timeout_ns),
    PACKED_OF(INT, scenario_step, repeat),
    PACKED_OF(BOOL, scenario_step, background),
    PACKED_OF(BOOL, scenario_step, may_fail),
    PACKED_LIST_OF(scenario_step, when, when_count, condition, condition_fields),
    PACKED_LIST_OF(scenario_step, actions, action_count, scenario_action, action_fields),
    PACKED_LIST_OF(scenario_step, expect, expect_count, condition, condition_fields),
    PACKED_OF(INT64, scenario_step, expect_ns),
    PACKED_OF(BOOL, scenario_step, during),
    PACKED_ENUM(scenario_step, state, STEP_STATES),
    PACKED_OF(INT64, scenario_step, fired),
    PACKED_OF(INT64, scenario_step, due_ns),
    PACKED_OF(INT64, scenario_step, checks_ns),
    PACKED_OF(INT64, scenario_step, armed_ns),
    PACKED_OF(INT64, scenario_step, started_ns),
    PACKED_OF(INT64, scenario_step, ended_ns),
    PACKED_OF(INT64, scenario_step, since),
    PACKED_OF(INT64, scenario_step, affected),
    PACKED_OF(STRING, scenario_step, error_code),
    PACKED_OF(STRING, scenario_step, error_message),
    PACKED_END};

static const struct packed_field variable_fields[] = {
    PACKED_OF(STRING, scenario_variable, name), PACKED_OF(STRING, scenario_variable, value),
    PACKED_OF(BOOL, scenario_variable, is_number), PACKED_END};

static const struct packed_field undo_fields[] = {
    PACKED_OF(STRING, scenario_undo, operation), PACKED_OF(STRING, scenario_undo, id),
    PACKED_OF(STRING, scenario_undo, body), PACKED_END};

static const struct packed_field scenario_fields[] = {
    PACKED_OF(STRING, scenario, description),
    PACKED_OF(STRING, scenario, file),
    PACKED_OF(INT64, scenario, seed),
    PACKED_OF(INT64, scenario, draws),
    PACKED_OF(INT64, scenario, started_ns),
    PACKED_OF(INT64, scenario, ended_ns),
    PACKED_OF(BOOL, scenario, watches),
    PACKED_LIST_OF(scenario, variables, variable_count, scenario_variable, variable_fields),
    PACKED_LIST_OF(scenario, steps, step_count, scenario_step, step_fields),
    PACKED_LIST_OF(scenario, on_failure, on_failure_count, scenario_action, action_fields),
    PACKED_LIST_OF(scenario, cleanup, cleanup_count, scenario_action, action_fields),
    PACKED_LIST_OF(scenario, undos, undo_count, scenario_undo, undo_fields),
    PACKED_OF(STRING, scenario, cleanup_error),
    PACKED_SINCE(3, BOOL, scenario, awaits_calls),
    PACKED_END};

static void pack_scenario(const struct resource *r, struct buffer *out)
{
    pack_fields(scenario_fields, r, out);
}

static void unpack_scenario(struct resource *r, struct unpacker *in, struct arena *arena)
{
    unpack_fields(scenario_fields, r, in, arena);
    in->failed |= r->state < 0 || r->state >= SCENARIO_STATES;
}

// --- the document ---

static void field_time(struct json_writer *w, const char *key, int64_t ns)
{
    if (ns != 0)
        jw_field_time(w, key, ns);
}

static void field_text(struct json_writer *w, const char *key, const char *text)
{
    if (text)
        jw_field_string(w, key, text);
}

static void encode_step(const struct scenario_step *step, struct json_writer *w)
{
    bool is_active = step->state == STEP_WAITING || step->state == STEP_CHECKING;

    jw_object_begin(w);
    jw_field_string(w, "name", step->name);
    jw_field_int(w, "line", step->line);
    jw_field_string(w, "trigger", step_trigger_names[step->trigger]);
    jw_field_string(w, "state", step_state_names[step->state]);
    jw_field_int(w, "fired", step->fired);
    jw_field_int(w, "affected", step->affected);
    field_time(w, "started_at", step->started_ns);
    field_time(w, "ended_at", step->ended_ns);
    field_time(w, "due_at", is_active ? step->due_ns : 0);
    if (step->error_message) {
        jw_key(w, "error");
        jw_object_begin(w);
        jw_field_string(w, "code", step->error_code);
        jw_field_string(w, "message", step->error_message);
        jw_object_end(w);
    }
    jw_object_end(w);
}

static void encode_variables(const struct scenario *s, struct json_writer *w)
{
    jw_key(w, "variables");
    jw_object_begin(w);
    for (size_t i = 0; i < s->variable_count; i++)
        jw_field_string(w, s->variables[i].name, s->variables[i].value);
    jw_object_end(w);
}

static void encode_scenario(const struct resource *r, struct json_writer *w)
{
    const struct scenario *s = (const struct scenario *)r;

    jw_object_begin(w);
    encode_head(r, w);
    field_text(w, "description", s->description);
    field_text(w, "file", s->file);
    encode_state(r, w);
    jw_field_int(w, "seed", s->seed);
    encode_variables(s, w);
    jw_key(w, "steps");
    jw_array_begin(w);
    for (size_t i = 0; i < s->step_count; i++)
        encode_step(&s->steps[i], w);
    jw_array_end(w);
    field_text(w, "cleanup_error", s->cleanup_error);
    field_time(w, "started_at", s->started_ns);
    field_time(w, "ended_at", s->ended_ns);
    jw_field_time(w, "created_at", r->created_ns);
    jw_field_time(w, "updated_at", r->updated_ns);
    field_time(w, "transition_at", r->transition_ns);
    jw_field_int(w, "revision", r->revision);
    jw_object_end(w);
}

const struct kind_ops scenario_kind = {
    .kind = KIND_SCENARIO,
    .size = sizeof(struct scenario),
    .id_prefix = "scn",
    .state_names = scenario_state_names,
    .pack = pack_scenario,
    .unpack = unpack_scenario,
    .encode = encode_scenario,
    .due = scenario_due,
    .remove = scenario_remove,
};
