// Faults are data: a rule says which calls it matches, when it fires, and what then happens. Rules
// are resources of KIND_FAULT; the ones that stand are compiled into an index that every thread
// asks with fault_decide. Reference and cookbook: docs/FAULTS.md.
//
// Whoever carries out effects asks for those of its place (fault_call.places): so a request that
// passes several places on its way is counted by a rule once, where its effect belongs.
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "base/bucket.h"
#include "sim/records.h"

struct cloud;
struct txn;

// --- the rule ---

enum fault_place {
    FAULT_AT_DOOR,       // a request is being let in
    FAULT_AT_REPLY,      // it has been carried out, its reply is about to be sent
    FAULT_AT_CHANGED,    // the same, of a change
    FAULT_AT_READ,       // what a get or a list answers
    FAULT_AT_CHANGE,     // an operation is being applied, on the writer
    FAULT_AT_TRANSITION, // a timed transition begins or is due, on the writer
    FAULT_AT_STREAM,     // an event is about to be sent to a watcher
    FAULT_PLACES
};
#define FAULT_BIT(place) (1U << (place))

// X(enum, name in documents, place). Stored: append only.
#define FAULT_EFFECTS(X)                                                 \
    X(FAULT_LATENCY, "latency", FAULT_AT_DOOR)                           \
    X(FAULT_ERROR, "error", FAULT_AT_DOOR)                               \
    X(FAULT_THROTTLE, "throttle", FAULT_AT_DOOR)                         \
    X(FAULT_HANG, "hang", FAULT_AT_DOOR)                                 \
    X(FAULT_RESET, "reset", FAULT_AT_DOOR)                               \
    X(FAULT_TRUNCATE, "truncate", FAULT_AT_REPLY)                        \
    X(FAULT_HALF_APPLIED, "half_applied", FAULT_AT_CHANGED)              \
    X(FAULT_STALE_READ, "stale_read", FAULT_AT_READ)                     \
    X(FAULT_HIDE_NEW, "hide_new", FAULT_AT_READ)                         \
    X(FAULT_REORDER, "reorder", FAULT_AT_READ)                           \
    X(FAULT_WRONG_ANSWER, "wrong_answer", FAULT_AT_READ)                 \
    X(FAULT_EXHAUSTED, "exhausted", FAULT_AT_CHANGE)                     \
    X(FAULT_ZONE_OUTAGE, "zone_outage", FAULT_AT_CHANGE)                 \
    X(FAULT_STUCK_TRANSITION, "stuck_transition", FAULT_AT_TRANSITION)   \
    X(FAULT_FAILED_TRANSITION, "failed_transition", FAULT_AT_TRANSITION) \
    X(FAULT_STREAM_CUT, "stream_cut", FAULT_AT_STREAM)                   \
    X(FAULT_STREAM_LAG, "stream_lag", FAULT_AT_STREAM)                   \
    X(FAULT_STREAM_DUPLICATE, "stream_duplicate", FAULT_AT_STREAM)

enum fault_effect_type {
#define X(id, name, place) id,
    FAULT_EFFECTS(X)
#undef X
        FAULT_EFFECT_TYPES
};

enum fault_clock { FAULT_CLOCK_REAL, FAULT_CLOCK_CLOUD }; // whose time an injected wait takes
enum fault_reply { FAULT_REPLY_ERROR, FAULT_REPLY_DROP, FAULT_REPLY_SILENCE };  // of half_applied
enum fault_lack { FAULT_LACK_CAPACITY, FAULT_LACK_QUOTA };                      // of exhausted
enum fault_outage { FAULT_OUTAGE_STOP, FAULT_OUTAGE_ERROR, FAULT_OUTAGE_KEEP }; // of instances
enum fault_wrong {
    FAULT_WRONG_ADDRESSES_MISSING,
    FAULT_WRONG_ADDRESSES_REORDERED,
    FAULT_WRONG_ADDRESSES,
    FAULT_WRONG_DUPLICATE_NAMES,
    FAULT_WRONG_MALFORMED_IDS,
    FAULT_WRONG_CLOCK_SKEW
};

// Which resources; what is NULL (kind -1) does not restrict. `name` is a glob.
struct fault_selector {
    int kind;
    const char *id, *name, *zone, *type, *state;
    struct store_tag *tags; // all of them
    size_t tag_count;
};

struct fault_match {
    const char **operations; // globs (base/glob.h) of operation ids and transitions; at least one
    size_t operation_count;
    bool has_resource;
    struct fault_selector resource;
    int scope;              // enum scope of the caller's token; -1: any
    const char *user_agent; // glob; NULL: any
};

// Of the calls that match, in this order: inside the time window; not the first `after`; of the
// rest at most the first `first`; of those every `every`th; then the die; at most `times` in all.
struct fault_when {
    int64_t from_ns, until_ns;   // cloud time; 0: open. Until is not included
    int64_t after, first, every; // 0: not given
    double probability;          // (0, 1]
    int64_t times;               // 0: without end
};

// Which of these an effect has, and what they mean: docs/FAULTS.md. 0 or NULL: not given.
struct fault_effect {
    enum fault_effect_type type;
    struct distribution delay; // latency
    enum fault_clock clock;    // latency, hang, throttle
    int status;                // error, half_applied
    const char *code;          // error, half_applied, failed_transition, exhausted
    const char *message;       // error, half_applied, failed_transition, exhausted
    int64_t retry_after_ns;    // error
    double rate;               // throttle: requests per second
    int burst;                 // throttle
    int64_t duration_ns;       // hang, half_applied: at most; stale_read: lag; hide_new,
                               // stuck_transition: for (0: as long as the rule stands);
                               // wrong_answer: skew (signed); stream_lag: by
    int64_t count;             // stale_read: revisions; truncate: bytes (0: half)
    enum fault_reply reply;    // half_applied
    enum fault_lack lack;      // exhausted
    enum fault_wrong wrong;    // wrong_answer
    const char *zone;          // zone_outage
    enum fault_outage outage;  // zone_outage
};

struct fault_counts {
    int64_t matched; // calls that the rule was asked about inside its time window
    int64_t fired;
    int64_t last_fired_ns; // cloud time; 0: never
};

struct fault { // project 0: of all projects
    struct resource r;
    struct fault_match match;
    struct fault_when when;
    struct fault_effect effect;
    struct fault_counts counts; // as of the last firing that was written
    bool off;                   // it stands, and nothing meets it
};

extern const char *const fault_effect_names[];                           // NULL ends
extern const char *const fault_reply_names[], *const fault_lack_names[]; // NULL ends
extern const char *const fault_outage_names[];
extern const char *const fault_wrong_names[], *const fault_clock_names[], *const scope_names[];
enum fault_place fault_place_of(enum fault_effect_type type);
// Whether the glob matches a timed transition ("instance.pending") that the effect could happen to:
// those of instances and load balancers alone can fail.
bool fault_matches_transition(const char *pattern, enum fault_effect_type type);

// --- deciding ---

// What is known of the resource that a call is about; NULL (kind -1): not known, and a selector
// that asks for it does not match.
struct fault_target {
    int kind;
    const char *id, *name, *zone, *type, *state;
    const struct store_tag *tags;
    size_t tag_count;
};

struct fault_call {
    unsigned places;                   // FAULT_BIT of the effects that the caller carries out here
    const char *operation;             // operation id, or a transition
    int64_t project;                   // 0: none
    int scope;                         // enum scope of the caller; -1: no caller
    const char *user_agent;            // NULL: none sent
    const struct fault_target *target; // NULL: none; of lists: kind only, see `many`
    // Completes the target when a rule wants to know more than it says (a row read); may be NULL.
    // Returns false when there is no such resource.
    bool (*look)(void *context, struct fault_target *inout);
    void *context;
    // The call answers many resources: selectors are for the caller to apply to each
    // (fault_selects), only their kind is compared here. Effects that do not happen at the reading
    // itself do not match then if they ask for more than the kind.
    bool many;
    // On the writer, while applying: firings are written with the batch, also when the change that
    // they made fail is rolled back. NULL: any other thread; they are queued to the writer.
    struct txn *txn;
};

struct fault_rule; // opaque: a rule that stands, with its counters

struct fault_fired {
    const struct fault *fault; // lives until fault_verdict_fini
    struct fault_rule *rule;
    int64_t ordinal; // of the match, from 1
    uint64_t seed;   // of this firing's draws: a function of (cloud's seed, rule, ordinal)
};

#define FAULT_FIRED_MAX 32 // rules that one call can meet; later ones are not asked

struct fault_rate { // what the tightest throttle says; limit 0: none
    int64_t limit;
    struct bucket_view view;
};

struct fault_verdict {
    size_t count;                              // 0: nothing happens
    struct fault_fired fired[FAULT_FIRED_MAX]; // in order of creation
    struct fault_rate rate;                    // also when no throttle fired
};

bool fault_any(struct cloud *cloud); // whether a rule stands: one atomic load
// Fills *out; when nothing fires count is 0. Without rules it costs one atomic load. Any thread.
// Precedence: docs/FAULTS.md.
void fault_decide(struct cloud *cloud, const struct fault_call *call, struct fault_verdict *out);
void fault_verdict_fini(struct fault_verdict *v); // also of a zeroed one
// The first fired effect of this type; NULL: none.
const struct fault_fired *fault_verdict_find(const struct fault_verdict *v,
                                             enum fault_effect_type type);
// Whether a firing's selector takes this resource; true when the rule has none.
bool fault_selects(const struct fault *fault, const struct fault_target *target);

// The counters of a rule as they are now, as openapi.json's FaultStats; ERROR_NOT_FOUND.
int fault_stats(struct cloud *cloud, const char *id, struct buffer *out, struct error *err);

#endif
