// The one table that describes every kind: schema and statements are generated from it.
#ifndef STORE_KINDS_H
#define STORE_KINDS_H

#include "store/store.h"

// What is written here is stored: a released entry never changes, a new column or index comes by a
// migration (store/schema.c).
struct kind_info {
    const char *name; // of the kind and of its table; NULL table: has_table
    bool has_table;
    bool in_project;                       // rows belong to projects: indexes start with it
    bool has_states;                       // lists are filtered by state
    const char *columns[KIND_COLUMNS_MAX]; // own ones; each has its index
};

const struct kind_info *kind_info(enum kind kind);

#endif
