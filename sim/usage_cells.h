// The cells of sim/usage.c: one for everything that can be limited, found by what it is of, and a
// journal of what the writer changed since the last commit.
#ifndef SIM_USAGE_CELLS_H
#define SIM_USAGE_CELLS_H

#include "sim/usage.h"

#include <pthread.h>

struct place {        // what a cell is of
    int64_t project;  // of a quota; 0: capacity
    enum kind kind;   // of a quota
    const char *zone; // of capacity
    const char *type; // NULL: all types together
};

struct cell {
    struct cell *next;
    uint64_t hash;
    int64_t used, limit;
    struct usage_figures shown;
    size_t touched; // how many entries of the journal
    int64_t project;
    enum kind kind;
    bool of_type;
    char *type;  // within `zone`
    char zone[]; // zone, NUL, type, NUL
};

struct entry { // of the journal: what a cell was before
    struct cell *cell;
    int64_t used, limit;
};

struct usage {
    pthread_mutex_t lock; // the cells are found by the writer and by readers
    struct cell **buckets;
    size_t bucket_count, cell_count;
    struct entry *journal; // the writer's own
    size_t journal_count, journal_capacity;
};

// The cell, made if it is not there, noted in the journal: to be changed.
struct cell *cell_touch(struct usage *u, const struct place *p);
// For who holds the lock: notes a cell that is about to be changed; finds one (NULL: none).
void cell_note(struct usage *u, struct cell *cell);
struct cell *cell_find(const struct usage *u, const struct place *p);
void cells_forget(struct usage *u); // all of them

#endif
