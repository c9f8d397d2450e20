// Recording of what is asked of the cloud, in the order of the commits and with the cloud time of
// each, as JSON Lines; and the clock of a replay. See docs/SNAPSHOTS.md for the format.
//
// The event log is a function of the state at the start, of these requests and of their times:
// timed transitions happen at their deadlines, before whatever comes later.
#ifndef SIM_RECORDER_H
#define SIM_RECORDER_H

#include "sim/change.h"

struct recorder; // opaque

struct recorder *recorder_new(void); // NULL: out of memory
void recorder_free(struct recorder *r);
// On the writer, once the change is committed or refused. Costs a look at a flag when nothing is
// recorded.
void recorder_note(struct cloud *cloud, const struct change *c, int64_t time_ns);
// The cloud was replaced as a whole: what follows does not follow from what was.
void recorder_replaced(struct cloud *cloud);

#endif
