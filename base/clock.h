// The only source of time. Cloud time is what the simulated cloud lives by: real, scaled, frozen or
// moved by hand; monotonic time is for waiting inside this process. The two are never mixed.
//
//     cloud(t) = base_cloud + scale × (monotonic(t) − base_monotonic)
//
// A frozen or manual clock is one with scale 0. Thread-safe.
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum clock_mode { CLOCK_REAL, CLOCK_SCALED, CLOCK_MANUAL };

#define CLOCK_MANUAL_START INT64_C(1767225600000000000) // 2026-01-01T00:00:00Z
#define CLOCK_SCALE_MAX 1e6
#define CLOCK_END \
    INT64_C(7289654399999999999) // 2200-12-31T23:59:59.999999999Z; cloud time stops here

// What survives a restart: at wall time `wall_ns` cloud time was `cloud_ns`. On restart a running
// clock has gone on meanwhile.
struct clock_state {
    enum clock_mode mode;
    double scale; // speed while running; 0 for manual
    bool frozen;
    int64_t cloud_ns;
    int64_t wall_ns;
};

struct clock; // opaque

// "real", "scaled:N" (0 < N <= CLOCK_SCALE_MAX) or "manual". Fills *out for a new cloud.
int clock_state_parse(const char *text, struct clock_state *out, struct error *err);
struct clock *clock_new(const struct clock_state *state); // NULL: out of memory
void clock_free(struct clock *c);
struct clock_state clock_snapshot(struct clock *c); // as of now, to be persisted
// As if nothing had been done to the clock since the snapshot: of a change that could not be
// written, or of a cloud that is replaced as a whole. Time may go back.
void clock_restore(struct clock *c, const struct clock_state *snapshot);
int64_t clock_now(struct clock *c); // cloud time, ns since the epoch; never goes back
// Monotonic time at which cloud time reaches `cloud_ns` (now if past); INT64_MAX if it never will.
// Later if the clock is held until then: look again.
int64_t clock_monotonic_at(struct clock *c, int64_t cloud_ns);
void clock_advance_to(struct clock *c, int64_t cloud_ns); // forward only
// 0 freezes; any other speed (capped at CLOCK_SCALE_MAX) unfreezes and, unless it is 1 on a real
// clock, makes it a scaled clock.
void clock_set_scale(struct clock *c, double scale);
void clock_freeze(struct clock *c);
void clock_resume(struct clock *c); // to the speed before freezing; a manual clock stays as it is

// A scaled clock stands while it is held; the others go on: a real clock is the world's, a manual
// one does not move by itself. By one thread; a second hold, or release, changes nothing.
void clock_hold(struct clock *c);
void clock_release(struct clock *c);

int64_t clock_monotonic(void); // ns; CLOCK_MONOTONIC
int64_t clock_wall(void);      // ns since the epoch; logs and lock files only

#endif
