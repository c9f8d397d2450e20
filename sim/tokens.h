// Who may call: the bearer tokens, in memory, looked up by hash and compared in constant time; and
// the projects by name.
#ifndef SIM_TOKENS_H
#define SIM_TOKENS_H

#include "sim/cloud.h"

#define TOKEN_MAX 128 // characters

struct tokens; // opaque

struct tokens *tokens_new(void);
void tokens_free(struct tokens *t);
// Changes are made between lock and unlock, so that nobody sees half of them.
void tokens_lock(struct tokens *t);
void tokens_unlock(struct tokens *t);
// Adds a token that is not in the database (`fixed`) or one that is.
int tokens_add(struct tokens *t, const char *token, const struct identity *who, bool fixed,
               struct error *err);
void tokens_forget_stored(struct tokens *t); // all that are not fixed, and the projects
void tokens_add_project(struct tokens *t, const char *name, int64_t seq);
// Look-ups take the lock themselves.
bool tokens_project_lives(struct tokens *t, int64_t seq);
int64_t tokens_project(struct tokens *t, const char *name); // 0: there is none
bool tokens_find(struct tokens *t, const char *token, size_t length, struct identity *out);

#endif
