// Between the files of the writer, all of which run on its thread: step.c, due.c, batch.c,
// clock_change.c and writer.c.
#ifndef SIM_WRITER_INTERNAL_H
#define SIM_WRITER_INTERNAL_H

#include "base/timefmt.h"
#include "sim/cloud_internal.h"

#define IDEMPOTENCY_KEPT \
    (24 * 3600 * NS_PER_S) // so long is an Idempotency-Key known, of cloud time

// --- one step (sim/step.c) ---
void step_begin(struct cloud *cloud, struct txn *out);
// Applies the change in a savepoint of its own and tells it what became of it.
void step_apply(struct cloud *cloud, struct change *c);
// The faults that fired during a step, after its end: they are told also when it failed.
int step_write_fired(struct cloud *cloud, struct error *err);
// Forgets the changes of the clock that were asked for since.
void step_drop_deferred(struct cloud *cloud, struct change *until);

// --- a batch (sim/batch.c) ---
int batch_begin(struct cloud *cloud, struct txn_mark *mark, struct error *err);
// Commits and publishes, or puts everything back: always when rc < 0. Also after a batch that could
// not begin.
int batch_finish(struct cloud *cloud, const struct txn_mark *mark, int rc, struct error *err);
// Puts everything back that the database and this thread have of it.
void batch_undo(struct cloud *cloud, const struct txn_mark *mark);

// --- timed transitions (sim/due.c) ---
#define DUE_BATCH 4096 // at most so many in one batch of their own
bool due_by(const struct cloud *cloud, int64_t ns);
// Finds the next deadline for the ledger.
int due_look_up(struct cloud *cloud, struct error *err);
// Fires what is due by `up_to` in the open batch, at most `limit`, in (due, revision) order; how
// many, or an error. `stepping`: moves the clock to each deadline first.
int due_fire(struct cloud *cloud, int64_t up_to, int limit, bool stepping, struct error *err);
// The same in a batch of its own, which is left open for batch_finish. Savepoints cost a fifth of
// such a batch and nothing is expected to fail in it. So it is tried without them (`at_once`), and
// done over with them if something that has written already fails.
int due_batch(struct cloud *cloud, int64_t up_to, bool stepping, struct txn_mark *mark,
              struct error *err);
// All that is due by now, in batches of their own. ERROR_UNAVAILABLE: a stop has cut it short.
int due_catch_up(struct cloud *cloud, struct error *err);
// When it is cut short, the step is that of the last that fired.
int due_catch_up_or_cut(struct cloud *cloud, struct error *err);

// --- changes of the clock (sim/clock_change.c) ---
void run_clock(struct cloud *cloud, struct change *c);

// --- the writer (sim/writer.c) ---
// The present, for the step that begins; it does not move while that lasts.
int64_t writer_step_to_now(struct cloud *cloud);
void writer_answer(struct cloud *cloud, struct change *c);

#endif
