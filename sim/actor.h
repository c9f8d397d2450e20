// Who acts for a scenario: applies an operation of the API inside the writer's transaction, by its
// operation id, as a request would. Declared here because scenarios need it, implemented in api/,
// which knows the table of endpoints and how bodies are read; so every verb of the API can be a
// scenario's action.
#ifndef SIM_ACTOR_H
#define SIM_ACTOR_H

#include "sim/txn.h"

struct actor_save {    // a value that is wanted from the answer
    const char *path;  // in its document, dots descend; NULL: its id
    const char *value; // out, in the transaction's arena; of several documents joined by commas
};

struct actor_undo { // what puts things back; operation NULL: nothing does
    const char *operation, *id, *body;
};

struct actor_call {
    const char *operation; // id, such as "instances.terminate"
    const char *id;        // first parameter of its path; NULL: it has none
    const char *part;      // the second; NULL: none
    const char *body;      // JSON; NULL: none
    const char *project_name;
    int64_t project;
    struct actor_save *saves;
    size_t save_count;
    bool wants_undo;
};

struct actor_answer { // strings in the transaction's arena
    struct actor_undo undo;
};

struct actor {
    // 0, or the negative code of `err` as the API would have answered it. What it has changed by
    // then is the caller's to roll back. A change of the clock cannot be made inside a
    // transaction: it is handed to txn_defer_clock.
    int (*apply)(const struct actor *actor, struct txn *t, const struct actor_call *call,
                 struct actor_answer *out, struct error *err);
};

#endif
