// A scenario: a program of steps that the writer carries out in cloud time, and how far it has
// come.
//
//     pending ──► waiting ──► checking ──► succeeded        (a step)
//                  │  ▲          │
//                  │  └──────────┤ (every, when: again)
//                  ▼             ▼
//               skipped        failed
//
// Steps follow one another; one in the background does not hold up the next. `waiting`: for its
// time or its condition; `checking`: its actions are done, what it expects is not seen yet.
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/records.h"

enum scenario_state {
    SCENARIO_RUNNING,
    SCENARIO_SUCCEEDED,
    SCENARIO_FAILED,
    SCENARIO_STOPPED,
    SCENARIO_STATES
};

enum step_state {
    STEP_PENDING,
    STEP_WAITING,
    STEP_CHECKING,
    STEP_SUCCEEDED,
    STEP_FAILED,
    STEP_SKIPPED,
    STEP_STATES
};

enum step_trigger { TRIGGER_AFTER, TRIGGER_AT, TRIGGER_EVERY, TRIGGER_WHEN, TRIGGERS };

// Strings of selectors, conditions and actions may hold ${variables} of the run.
struct selector {
    int kind; // enum kind
    const char *project, *id, *name, *columns[KIND_COLUMNS_MAX];
    uint32_t states; // 0: any
    struct store_tag *tags;
    size_t tag_count;
    struct store_tag *where; // path in the document, values separated by commas
    size_t where_count;
    int random_count, random_percent; // 0: all
    bool allow_none;
};

enum condition_type { CONDITION_COUNT, CONDITION_EVENT, CONDITION_CALLS, CONDITIONS };
enum comparison {
    IS_EQUAL,
    IS_NOT_EQUAL,
    IS_LESS,
    IS_AT_MOST,
    IS_GREATER,
    IS_AT_LEAST,
    COMPARISONS
};

// Answered calls (sim/call_log.h), without variables of the run. What is counted is what comes
// after `base`, which is noted when the step acts or begins to wait, or when the scenario starts.
struct calls_wanted {
    const char *caller, *operation, *statuses, *project; // NULL: any; project: the scenario's own
    int64_t per_minute;                                  // at most, in thousandths; -1: no matter
    bool since_start;                                    // of the scenario
    int64_t base, base_wall_ns, began_ns;
};

struct condition {
    enum condition_type type;
    struct selector what; // of an event: kind -1 is any; id and where only
    enum comparison comparison;
    int64_t number;
    int event_type; // enum event_type, -1: any
    const char *operation;
    struct calls_wanted calls;
};

struct save {
    const char *variable;
    const char *path; // NULL: the id
};

struct scenario_action {
    const char *operation;
    const char *id, *part, *body;
    bool has_select;
    struct selector select;
    struct save *saves;
    size_t save_count;
    const char *expect_error; // API string of an error code
    bool may_fail, keep;
    int line;
};

struct scenario_step {
    const char *name;
    int line;
    enum step_trigger trigger;
    int64_t ns;         // of at, after, every
    int64_t count;      // of firings; 0: no end
    int64_t until_ns;   // since the start; 0: none
    int64_t timeout_ns; // of when; 0: none
    int repeat;
    bool background, may_fail;
    struct condition *when;
    size_t when_count;
    struct scenario_action *actions;
    size_t action_count;
    struct condition *expect;
    size_t expect_count;
    int64_t expect_ns;
    bool during; // expected all the time, not once within it

    enum step_state state;
    int64_t fired;
    int64_t due_ns;               // of its trigger, timeout or expectation; 0: none
    int64_t checks_ns;            // when what it expects began to be looked for
    int64_t armed_ns;             // when it began to wait
    int64_t started_ns, ended_ns; // of its first firing, of the last; 0: not yet
    int64_t since;                // revision after which its events count
    int64_t affected;             // actions applied
    const char *error_code, *error_message;
};

struct scenario_variable {
    const char *name, *value;
    bool is_number;
};

struct scenario_undo {
    const char *operation, *id, *body;
};

struct scenario {
    struct resource r;
    const char *description;
    const char *file; // its name in messages
    int64_t seed;
    int64_t draws; // so far, so that each differs
    int64_t started_ns, ended_ns;
    bool watches; // some step waits for a change, not only for a time
    struct scenario_variable *variables;
    size_t variable_count;
    struct scenario_step *steps;
    size_t step_count;
    struct scenario_action *on_failure, *cleanup;
    size_t on_failure_count, cleanup_count;
    struct scenario_undo *undos; // the last is undone first
    size_t undo_count;
    const char *cleanup_error; // first failure of what was done at its end; NULL: none
    bool awaits_calls;         // some step waits for calls
};

extern const char *const step_state_names[], *const step_trigger_names[];

// --- inside sim/ ---

// Does what can be done now and writes the scenario; *out_moved: whether anything happened.
int scenario_advance(struct txn *t, struct scenario *s, bool *out_moved, struct error *err);
// Ends it: cleanup, undo, the new state. Does not write.
void scenario_end(struct txn *t, struct scenario *s, enum scenario_state state);
int scenario_write(struct txn *t, struct scenario *s, struct error *err);

// --- actions (sim/scenario_act.c) ---
struct scenario_context { // of one firing
    struct scenario *scenario;
    struct scenario_step *step; // NULL: cleanup
    int64_t index;              // of repeat, from 1
    const char *target;         // id of what was selected; NULL: none
    const char *event;          // id of what the awaited event was about; NULL: none
};

int scenario_act(struct txn *t, struct scenario_context *c, const struct scenario_action *action,
                 struct error *err);
// Undoes what the scenario's actions left, the last first; the first failure is kept in it.
void scenario_undo_all(struct txn *t, struct scenario *s);
// Whether all conditions hold; events count after revision `*since`, which moves to the one seen.
// When they do not, `why` says which.
int conditions_met(struct txn *t, struct scenario_context *c, const struct condition *conditions,
                   size_t count, int64_t *since, bool *out, struct error *why, struct error *err);
bool comparison_holds(enum comparison how, int64_t a, int64_t b);
extern const char *const comparison_signs[];
// --- conditions on calls (sim/scenario_calls.c) ---
// From now on their calls count: of those since the scenario began, or of the others.
void calls_begin(struct txn *t, const struct scenario *s, struct condition *conditions,
                 size_t count, bool with_scenario);
void calls_begin_scenario(struct txn *t, struct scenario *s);
bool calls_awaited(const struct condition *conditions, size_t count);
int calls_met(struct txn *t, const struct scenario_context *c, const struct condition *condition,
              bool *out, struct error *why, struct error *err);
// --- selectors (sim/scenario_select.c) ---
int selector_match(struct txn *t, const struct scenario_context *c, const struct selector *selector,
                   struct store_match *out, struct error *err);
// Ids of what matches, the random choice made; ERROR_NOT_FOUND when nothing does and that is not
// allowed.
int selector_ids(struct txn *t, struct scenario_context *c, const struct selector *selector,
                 const char ***out, size_t *out_count, struct error *err);
// Of the project of this name; NULL: the scenario's own.
int selector_project(struct txn *t, const struct scenario *s, const char *name, int64_t *out,
                     struct error *err);

// --- text (sim/scenario_text.c) ---
// Replaces ${…}; in JSON texts quotes what it puts in, and a number that is all of a string becomes
// one. NULL stays NULL. ERROR_INVALID names a variable that has no value (yet).
int scenario_expand(struct txn *t, const struct scenario_context *c, const char *text, bool json,
                    const char **out, struct error *err);
void scenario_set(struct txn *t, struct scenario *s, const char *name, const char *value);

#endif
