// What is limited, and how much of it is in use: resources of a project (quotas), and instances of
// a type in a zone (capacity). Counted as records pass through the funnel, so that no path can
// exceed a limit and nothing is ever scanned; kept in memory and rebuilt when the cloud is opened.
//
// What counts: for a quota every resource that is not terminated or deleted; for capacity every
// instance but those stopped, terminating or terminated (as in EC2: a stopped instance gives its
// place away, and may find none when it is started; ending it needs none).
//
// The writer counts; what is committed is shown to any thread.
#ifndef SIM_USAGE_H
#define SIM_USAGE_H

#include "sim/records.h"

#define QUOTA_KINDS (KIND_ROUTE + 1) // quotas are of the kinds up to there, by the kind's number
#define UNLIMITED INT64_C(-1)

extern const char *const quota_names[QUOTA_KINDS]; // as in documents: "instances"

struct cloud;
struct usage; // opaque

struct usage *usage_new(void);
void usage_free(struct usage *u); // NULL allowed
// Counts everything anew, from the rows.
int usage_load(struct cloud *cloud, struct error *err);

// --- the writer ---
// A record is about to be written, or removed. ERROR_QUOTA and ERROR_CAPACITY name what is
// exceeded; what a timer or a backend reports is counted but not refused.
int usage_note(struct txn *t, const struct resource *r, bool removed, struct error *err);
size_t usage_mark(const struct usage *u);
void usage_undo(struct usage *u, size_t mark); // what was counted since
void usage_commit(struct usage *u);            // shows it

// --- any thread ---
struct usage_figures {
    int64_t used;
    int64_t limit; // UNLIMITED: none
};
struct usage_figures usage_of_quota(struct usage *u, int64_t project, enum kind kind);
// type NULL: of all types together.
struct usage_figures usage_of_capacity(struct usage *u, const char *zone, const char *type);
// The types that are limited or in use in the zone, sorted, built in the arena.
struct usage_place {
    const char *type;
    struct usage_figures figures;
};
size_t usage_places(struct usage *u, const char *zone, struct arena *arena,
                    struct usage_place **out);

#endif
