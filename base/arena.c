#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)4096)
#define ALIGNMENT _Alignof(max_align_t)

struct arena_block {
    struct arena_block *older;
    size_t capacity;
    _Alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_fini(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *older = a->blocks->older;
        free(a->blocks);
        a->blocks = older;
    }
    arena_init(a);
}

// The oldest block is the one to keep: those after it were made for what did not fit.
void arena_clear(struct arena *a)
{
    while (a->blocks && a->blocks->older) {
        struct arena_block *older = a->blocks->older;
        free(a->blocks);
        a->blocks = older;
    }
    a->used = 0;
}

static void out_of_memory(void)
{
    fputs("mockcloud: out of memory\n", stderr);
    _Exit(1);
}

static void add_block(struct arena *a, size_t at_least)
{
    size_t capacity = at_least > BLOCK_SIZE ? at_least : BLOCK_SIZE;
    struct arena_block *block = malloc(sizeof(*block) + capacity);

    if (!block) {
        out_of_memory();
        return;
    }
    block->older = a->blocks;
    block->capacity = capacity;
    a->blocks = block;
    a->used = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
    void *memory;

    if (size > SIZE_MAX / 2)
        out_of_memory();
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!a->blocks || size > a->blocks->capacity - a->used)
        add_block(a, size);
    memory = a->blocks->data + a->used;
    a->used += size;
    return memset(memory, 0, size);
}

char *arena_strndup(struct arena *a, const char *string, size_t length)
{
    char *copy = arena_alloc(a, length + 1);

    memcpy(copy, string, length);
    return copy;
}

char *arena_strdup(struct arena *a, const char *string)
{
    return string ? arena_strndup(a, string, strlen(string)) : NULL;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    char *text;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    text = arena_alloc(a, length < 0 ? 1 : (size_t)length + 1);
    if (length > 0)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}
