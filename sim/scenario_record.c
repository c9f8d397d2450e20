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

#define OF(type_, object, member)                                         \
    {                                                                     \
        .type = PACKED_##type_, .offset = offsetof(struct object, member) \
    }
#define ENUM(object, member, count_)                                                     \
    {                                                                                    \
        .type = PACKED_INT, .offset = offsetof(struct object, member), .limit = (count_) \
    }
#define PART(object, member, fields_)                                                         \
    {                                                                                         \
        .type = PACKED_STRUCT, .offset = offsetof(struct object, member), .fields = (fields_) \
    }
#define LIST(object, member, count_, of_, fields_)                                                \
    {                                                                                             \
        .type = PACKED_LIST, .offset = offsetof(struct object, member),                           \
        .count = offsetof(struct object, count_), .size = sizeof(struct of_), .fields = (fields_) \
    }
#define END         \
    {               \
        .end = true \
    }

// Tables, a field to a line.
// clang-format off
static const struct packed_field tag_fields[] = {
    OF(STRING, store_tag, key), OF(STRING, store_tag, value), END};

static const struct packed_field selector_fields[] = {
    OF(INT, selector, kind), OF(STRING, selector, project), OF(STRING, selector, id),
    OF(STRING, selector, name), OF(STRING, selector, columns[0]), OF(STRING, selector, columns[1]),
    OF(STRING, selector, columns[2]), OF(UINT32, selector, states),
    LIST(selector, tags, tag_count, store_tag, tag_fields),
    LIST(selector, where, where_count, store_tag, tag_fields), OF(INT, selector, random_count),
    OF(INT, selector, random_percent), OF(BOOL, selector, allow_none), END};

static const struct packed_field condition_fields[] = {
    ENUM(condition, type, CONDITIONS), PART(condition, what, selector_fields),
    ENUM(condition, comparison, COMPARISONS), OF(INT64, condition, number),
    OF(INT, condition, event_type), OF(STRING, condition, operation), END};

static const struct packed_field save_fields[] = {
    OF(STRING, save, variable), OF(STRING, save, path), END};

static const struct packed_field action_fields[] = {
    OF(STRING, scenario_action, operation), OF(STRING, scenario_action, id),
    OF(STRING, scenario_action, part), OF(STRING, scenario_action, body),
    OF(BOOL, scenario_action, has_select), PART(scenario_action, select, selector_fields),
    LIST(scenario_action, saves, save_count, save, save_fields),
    OF(STRING, scenario_action, expect_error), OF(BOOL, scenario_action, may_fail),
    OF(BOOL, scenario_action, keep), OF(INT, scenario_action, line), END};

static const struct packed_field step_fields[] = {
    OF(STRING, scenario_step, name), OF(INT, scenario_step, line),
    ENUM(scenario_step, trigger, TRIGGERS), OF(INT64, scenario_step, ns),
    OF(INT64, scenario_step, count), OF(INT64, scenario_step, until_ns),
    OF(INT64, scenario_step, timeout_ns), OF(INT, scenario_step, repeat),
    OF(BOOL, scenario_step, background), OF(BOOL, scenario_step, may_fail),
    LIST(scenario_step, when, when_count, condition, condition_fields),
    LIST(scenario_step, actions, action_count, scenario_action, action_fields),
    LIST(scenario_step, expect, expect_count, condition, condition_fields),
    OF(INT64, scenario_step, expect_ns), OF(BOOL, scenario_step, during),
    ENUM(scenario_step, state, STEP_STATES), OF(INT64, scenario_step, fired),
    OF(INT64, scenario_step, due_ns), OF(INT64, scenario_step, checks_ns),
    OF(INT64, scenario_step, armed_ns), OF(INT64, scenario_step, started_ns), OF(INT64, scenario_step, ended_ns),
    OF(INT64, scenario_step, since), OF(INT64, scenario_step, affected),
    OF(STRING, scenario_step, error_code), OF(STRING, scenario_step, error_message), END};

static const struct packed_field variable_fields[] = {
    OF(STRING, scenario_variable, name), OF(STRING, scenario_variable, value),
    OF(BOOL, scenario_variable, is_number), END};

static const struct packed_field undo_fields[] = {
    OF(STRING, scenario_undo, operation), OF(STRING, scenario_undo, id),
    OF(STRING, scenario_undo, body), END};

static const struct packed_field scenario_fields[] = {
    OF(STRING, scenario, description), OF(STRING, scenario, file), OF(INT64, scenario, seed),
    OF(INT64, scenario, draws), OF(INT64, scenario, started_ns), OF(INT64, scenario, ended_ns),
    OF(BOOL, scenario, watches),
    LIST(scenario, variables, variable_count, scenario_variable, variable_fields),
    LIST(scenario, steps, step_count, scenario_step, step_fields),
    LIST(scenario, on_failure, on_failure_count, scenario_action, action_fields),
    LIST(scenario, cleanup, cleanup_count, scenario_action, action_fields),
    LIST(scenario, undos, undo_count, scenario_undo, undo_fields),
    OF(STRING, scenario, cleanup_error), END};
// clang-format on

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
