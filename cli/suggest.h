// The nearest of many words, for "did you mean".
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stddef.h>

struct suggestion {
    const char *word; // what was typed, borrowed
    const char *best; // nearest so far, borrowed; NULL: none is near enough
    size_t distance;
};

void suggest_init(struct suggestion *s, const char *word);
void suggest_offer(struct suggestion *s, const char *candidate);
// Edits (insert, delete, replace, swap of neighbours) from a to b; words over 63 bytes are never
// near.
size_t suggest_distance(const char *a, const char *b);

#endif
