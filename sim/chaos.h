// Chaos: misfortunes at random times, for as long as one likes. Each kind of misfortune is a
// Poisson process of its own rate; limits bound how much is down at once. The time, kind and victim
// of number n are functions of (seed, n): the same seed does the same to the same cloud.
//
//     running ──► stopped     by request, or at its end
//        └───────────┴──► deleting ──► gone
//
// What was taken down is brought back by chaos itself, at its time, or when it is stopped or
// deleted; it is gone when all that was still on its way down is back, too.
#ifndef SIM_CHAOS_H
#define SIM_CHAOS_H

#include "sim/records.h"

// X(enum, name): what happens. Append only.
#define CHAOS_ACTIONS(X)          \
    X(TERMINATE, "terminate")     \
    X(STOP, "stop")               \
    X(REBOOT, "reboot")           \
    X(INTERRUPT, "interrupt")     \
    X(ZONE_OUTAGE, "zone_outage") \
    X(SLOW_API, "slow_api")       \
    X(API_ERRORS, "api_errors")   \
    X(TARGET_FAILURE, "target_failure")

enum chaos_action {
#define X(id, name) CHAOS_##id,
    CHAOS_ACTIONS(X)
#undef X
        CHAOS_ACTION_COUNT
};

extern const char *const chaos_action_names[]; // NULL ends

#define CHAOS_RATE_UNIT 1000 // rates are stored in so manyths per hour

enum chaos_state { CHAOS_RUNNING, CHAOS_STOPPED, CHAOS_DELETING, CHAOS_STATES };
// NONE: it comes back by itself, or another has come for it, and is down until it runs. Dry runs
// have a plan in place of remedies (sim/chaos_dry.c), and only they have GONE.
enum chaos_remedy {
    REMEDY_START,
    REMEDY_RESPAWN,
    REMEDY_END_FAULT,
    REMEDY_NONE,
    REMEDY_GONE,
    REMEDY_HEAL,
    REMEDIES
};
enum chaos_outcome { OUTCOME_NONE, OUTCOME_DONE, OUTCOME_DRY, OUTCOME_SKIPPED, OUTCOMES };

struct chaos_later { // what brings back what was taken
    int64_t due_ns;  // NONE: 0, but in a dry run
    enum chaos_remedy remedy;
    const char *id, *zone; // of the instance, or of the fault rule, or of the target pool
    const char *type;      // RESPAWN: what is to be made; HEAL: its target
    int lifecycle, backend;
    struct store_tag *tags;
    size_t tag_count;
};

struct chaos_settings {
    const char *profile; // NULL: rates of one's own
    int64_t rates[CHAOS_ACTION_COUNT];
    bool respawn, dry_run;
    int64_t duration_ns;              // 0: until it is stopped
    int64_t min_down_ns, max_down_ns; // how long what is stopped, down or slow stays so
    int64_t notice_ns;                // of interruptions
    int max_down, max_down_per_zone;  // 0: no limit
    int min_running;
    struct store_tag *protect; // whoever has one of these tags is spared; value NULL: any
    size_t protect_count;
};

struct chaos {
    struct resource r; // transition_ns: the earlier of next_ns and the first remedy
    struct chaos_settings set;
    int64_t seed, ordinal; // of misfortunes so far
    int64_t next_ns, started_ns, ended_ns, until_ns;
    int64_t done[CHAOS_ACTION_COUNT], skipped[CHAOS_ACTION_COUNT];
    struct chaos_later *later;
    size_t later_count;
    int last_action; // of the last one; ordinal 0: none yet
    enum chaos_outcome last_outcome;
    const char *last_id, *last_zone; // of a target: its pool, and itself
    const char *last_message;
};

struct chaos_profile {
    const char *name, *about;
    struct chaos_settings set;
};
extern const struct chaos_profile chaos_profiles[]; // name NULL ends
const struct chaos_profile *chaos_profile_find(const char *name);

#endif
