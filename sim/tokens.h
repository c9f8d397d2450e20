// Who may call: the bearer tokens, in memory, looked up by hash and compared in constant time.
#ifndef SIM_TOKENS_H
#define SIM_TOKENS_H

#include "sim/cloud.h"

#define TOKEN_MAX 128 // characters

struct tokens; // opaque

struct tokens *tokens_new(void);
void tokens_free(struct tokens *t);
// Adds a token that is not in the database (`fixed`) or one that is.
int tokens_add(struct tokens *t, const char *token, const struct identity *who, bool fixed,
               struct error *err);
void tokens_forget_stored(struct tokens *t); // all that are not fixed
bool tokens_find(struct tokens *t, const char *token, size_t length, struct identity *out);

#endif
