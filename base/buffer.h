// A growable run of bytes.
//
// Appending never fails at the call: when memory runs out the buffer turns `failed`, drops what it
// holds, and ignores further appends; whoever reads it checks `failed` once.
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; // owned; NULL while empty
    size_t length;
    size_t capacity;
    bool failed;
};

void buffer_init(struct buffer *b);
void buffer_fini(struct buffer *b);              // frees; the buffer may be used again
void buffer_clear(struct buffer *b);             // length 0, keeps the memory, clears `failed`
void buffer_grow(struct buffer *b, size_t more); // for buffer_reserve
void buffer_append(struct buffer *b, const void *bytes, size_t length);
void buffer_append_string(struct buffer *b, const char *string);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Hands the memory over (caller frees with free()) and leaves the buffer empty. NULL when failed.
// A NUL byte follows the data, not counted in *out_length (which may be NULL).
char *buffer_take(struct buffer *b, size_t *out_length);

// Makes room for `more` bytes.
static inline void buffer_reserve(struct buffer *b, size_t more)
{
    if (more > b->capacity - b->length)
        buffer_grow(b, more);
}

#endif
