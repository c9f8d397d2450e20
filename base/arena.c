#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define BLOCK_SIZE (8 * 1024 - sizeof(struct arena_block))

struct arena_block {
    struct arena_block *next;
    size_t size; // of `data`
    alignas(max_align_t) char data[];
};

static __attribute__((noreturn)) void out_of_memory(void)
{
    static const char line[] = "mockcloud: out of memory\n";
    ssize_t ignored = write(STDERR_FILENO, line, sizeof(line) - 1);

    (void)ignored;
    _exit(EX_OSERR);
}

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_fini(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    a->used = 0;
}

void arena_clear(struct arena *a)
{
    struct arena_block *kept = a->blocks;

    a->used = 0;
    if (!kept)
        return;
    a->blocks = kept->next;
    arena_fini(a);
    kept->next = NULL;
    a->blocks = kept;
}

static struct arena_block *block_new(size_t size)
{
    struct arena_block *block;

    if (size > SIZE_MAX / 2)
        out_of_memory();
    block = malloc(sizeof(*block) + size);
    if (!block)
        out_of_memory();
    block->size = size;
    return block;
}

// A large piece gets a block of its own behind the newest, whose room is not wasted by it.
static void *alloc_large(struct arena *a, size_t size)
{
    struct arena_block *block = block_new(size);

    block->next = a->blocks->next;
    a->blocks->next = block;
    return memset(block->data, 0, size);
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_block *block = a->blocks;
    void *piece;

    if (rounded < size)
        out_of_memory();
    if (!block || rounded > block->size - a->used) {
        if (block && rounded > BLOCK_SIZE / 4)
            return alloc_large(a, rounded);
        block = block_new(rounded > BLOCK_SIZE ? rounded : BLOCK_SIZE);
        block->next = a->blocks;
        a->blocks = block;
        a->used = 0;
    }
    piece = block->data + a->used;
    a->used += rounded;
    return memset(piece, 0, size);
}

char *arena_strndup(struct arena *a, const char *string, size_t length)
{
    char *copy;

    if (!string)
        return NULL;
    copy = arena_alloc(a, length + 1);
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
    if (length < 0)
        length = 0; // an encoding error, which our formats cannot have
    text = arena_alloc(a, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}
