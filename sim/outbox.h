// Runs the effects of the outbox. Internal to sim/; the backend's side is sim/backend.h.
#ifndef SIM_OUTBOX_H
#define SIM_OUTBOX_H

#include "sim/backend.h"
#include "sim/txn.h"

struct outbox; // opaque

struct outbox *outbox_new(struct cloud *cloud); // NULL: out of memory
void outbox_free(struct outbox *o);             // detached; NULL allowed

// --- in a change ---
// Wants the effect, in place of one that is still wanted of the same instance.
int outbox_put(struct txn *t, const struct effect *e, struct error *err);
int outbox_forget(struct txn *t, const char *instance_id, struct error *err);
// Three-way: whether an effect of the instance is not done yet.
int outbox_pending(struct txn *t, const char *instance_id, int64_t *out_revision,
                   struct error *err);

// On the writer thread, after each commit: hands over what the ledger says has changed.
void outbox_committed(struct cloud *cloud);

#endif
