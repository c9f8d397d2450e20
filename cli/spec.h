// The one description of the command: kinds of resources, verbs, flags. Parsing, help, completion
// and the man page all read these tables, so they cannot drift apart.
#ifndef CLI_SPEC_H
#define CLI_SPEC_H

#include "cli/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli; // cli/verbs.h

enum flag_type {
    FLAG_BOOL,
    FLAG_STRING,
    FLAG_INT,        // within minimum..maximum
    FLAG_DURATION,   // Go's notation
    FLAG_CHOICE,     // one of `choices`
    FLAG_CHOICES,    // several of them, separated by commas
    FLAG_TAG,        // KEY=VALUE
    FLAG_TAG_KEY,    // KEY
    FLAG_TAG_ANY,    // KEY=VALUE, or KEY: whatever its value
    FLAG_LISTENER,   // PROTOCOL:PORT:POOL:TARGET_PORT[,OPTION=VALUE]…
    FLAG_TARGET,     // an instance or an IP address
    FLAG_ADDRESS,    // [TYPE=]ADDRESS
    FLAG_ADDRESS_ID, // a reserved address
    FLAG_NUMBERS,    // KEY=N, or none
    FLAG_LIMIT,      // N, or none
    FLAG_RATE,       // RATE[:BURST], or none
    FLAG_TTL         // Go's notation of a duration, or none
};

// Where a value goes: read by code, a query parameter, or a field of the request body.
enum flag_use { USE_CLI, USE_QUERY, USE_BODY };

struct flag {
    const char *name; // NULL ends a group
    char letter;      // or 0
    enum flag_type type;
    enum flag_use use;
    bool repeat;         // may be given more than once; a body field is then an array
    bool negated;        // FLAG_BOOL in a body: sets false
    const char *field;   // query parameter or body path (dots descend)
    const char *value;   // its name in help
    const char *choices; // separated by commas; of FLAG_CHOICE(S)
    int64_t minimum;
    int64_t maximum;
    const char *help;
};

enum column_format {
    COLUMN_TEXT,
    COLUMN_AGE,
    COLUMN_ADDRESS,
    COLUMN_TAGS,
    COLUMN_COUNT,
    COLUMN_LIST,
    COLUMN_NAMED // an object of one field, itself an object: its name, and what is in it
};

struct column {
    const char *header; // NULL ends the list
    const char *path;   // in the document; dots descend
    enum column_format format;
    bool wide;             // only with -o wide
    const char *parameter; // COLUMN_ADDRESS: address type; COLUMN_LIST: format of an item
};

struct kind {
    const char *noun;       // as in `mockcloud instance ls`
    const char *other_noun; // a synonym, or NULL
    const char *about;
    const char *event_kind; // the API's name for it, or NULL when it has no events
    const char *path;       // of the collection
    const char *key;        // what its paths end in: "id" or "name"
    const char *states;     // separated by commas, or NULL
    const struct column *columns;
};

#define VERB_FLAG_GROUPS 5

struct verb {
    const struct kind *kind;   // what it acts on
    const struct kind *prints; // what it prints when that differs, or NULL
    const char *name;          // of a verb without a noun: kind->noun is ""
    const char *operands;      // for the usage line, or ""
    size_t min_operands;
    size_t max_operands;
    const char *summary;
    const char *examples[4]; // without the leading "mockcloud"; NULL ends
    const struct flag *flags[VERB_FLAG_GROUPS];
    int (*run)(struct cli *cli, struct failure *f);
    const char *method;
    const char *path;       // {} stands for the id; NULL: that of the kind
    const char *act_states; // selectors of an action match only these unless --state is given
    const char *done;       // --wait: the condition that says it is done
};

struct alias {
    const char *name;
    const char *noun;
    const char *verb;
};

extern const struct kind kind_none, kind_instance, kind_lb, kind_pool, kind_address, kind_route,
    kind_zone, kind_region, kind_type, kind_project, kind_token, kind_latency, kind_event,
    kind_clock, kind_advanced, kind_calls, kind_call_counter, kind_fault, kind_fault_stats,
    kind_cluster, kind_snapshot, kind_replaced, kind_quota, kind_project_made, kind_capacity,
    kind_digest, kind_scenario, kind_step, kind_chaos, kind_chaos_profile, kind_record,
    kind_replayed;
extern const struct kind *const spec_kinds[]; // those with a noun; NULL ends
extern const struct verb spec_verbs[];        // summary NULL ends
extern const struct alias spec_aliases[];     // name NULL ends
extern const struct flag spec_global_flags[];

// Groups of flags that verbs share.
extern const struct flag flags_list[], flags_instance_filter[], flags_lb_filter[],
    flags_route_filter[], flags_tag_filter[], flags_select[], flags_act[], flags_interrupt[],
    flags_revision[], flags_create[], flags_instance_create[], flags_instance_update[],
    flags_lb_create[], flags_lb_update[], flags_pool[], flags_target[], flags_address_create[],
    flags_route_create[], flags_route_update[], flags_update[], flags_zone[], flags_type[],
    flags_token[], flags_event[], flags_event_list[], flags_restore[], flags_wait[];
extern const struct flag flags_quota[], flags_project_create[], flags_project_update[];
extern const struct flag flags_calls[], flags_calls_limit[], flags_calls_assert[];
extern const struct flag flags_fault_effect[], flags_fault_match[], flags_fault_when[],
    flags_fault_add[], flags_fault_update[];
extern const struct flag flags_force[], flags_cluster[];
extern const struct flag flags_variable[], flags_scenario_run[], flags_scenario_list[],
    flags_chaos[], flags_chaos_list[];

const struct kind *spec_kind(const char *noun); // by noun or synonym; NULL: no such kind
const struct verb *spec_verb(const struct kind *kind, const char *name);
const struct verb *spec_top_verb(const char *name); // a verb or an alias that needs no noun
const struct flag *spec_flag(const struct verb *verb, const char *name); // verb NULL: globals only
const struct flag *spec_flag_letter(const struct verb *verb, char letter);
// Whether `text` of `length` bytes is one of a list separated by commas.
bool spec_choice(const char *choices, const char *text, size_t length);

#endif
