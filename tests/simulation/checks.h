// Looking at the whole: the cloud against the model, the model against what must always hold, the
// tables against one another.
#ifndef TESTS_SIMULATION_CHECKS_H
#define TESTS_SIMULATION_CHECKS_H

#include "tests/simulation/model.h"

// Cheap, after every step: the newest revision, the next deadline, the clock, one thing by GET.
void check_step(const struct model *m, struct cloud *cloud, uint64_t draw);
// Every list is the model's, byte for byte; names and addresses are held once; routes are
// blackholes exactly when their instance does not run; the newest events in the database are those
// that came.
void check_all(const struct model *m, struct cloud *cloud, int64_t events_kept);
// Tags, references and claimed addresses in the tables are those of the model; SQLite finds nothing
// wrong with its file.
void check_tables(const struct model *m, struct cloud *cloud);

#endif
