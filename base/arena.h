// Memory that lives as long as one request or one change: allocate freely, free all at once.
//
// Running out of memory ends the process with one line on standard error: every acknowledged write
// is in the write-ahead log already, and no caller could do better.
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; // newest first
    size_t used;                // of the newest
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);
void arena_clear(struct arena *a);                       // frees all but one block
void *arena_alloc(struct arena *a, size_t size);         // zeroed, aligned for any type; never NULL
char *arena_strdup(struct arena *a, const char *string); // NULL stays NULL
char *arena_strndup(struct arena *a, const char *string, size_t length);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
