#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

void buffer_init(struct buffer *b)
{
    *b = (struct buffer){0};
}

void buffer_fini(struct buffer *b)
{
    free(b->data);
    buffer_init(b);
}

void buffer_clear(struct buffer *b)
{
    b->length = 0;
    b->failed = false;
}

static void fail(struct buffer *b)
{
    buffer_fini(b);
    b->failed = true;
}

void buffer_grow(struct buffer *b, size_t more)
{
    size_t capacity = b->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : b->capacity;
    char *data;

    if (b->failed)
        return;
    // so that no sum or doubling below overflows
    if (more > SIZE_MAX / 4 || b->length > SIZE_MAX / 4) {
        fail(b);
        return;
    }
    while (capacity < b->length + more)
        capacity *= 2;
    data = realloc(b->data, capacity);
    if (!data) {
        fail(b);
        return;
    }
    b->data = data;
    b->capacity = capacity;
}

void buffer_append(struct buffer *b, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    buffer_reserve(b, length);
    if (b->failed)
        return;
    memcpy(b->data + b->length, bytes, length);
    b->length += length;
}

void buffer_append_string(struct buffer *b, const char *string)
{
    buffer_append(b, string, strlen(string));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    char small[256];
    va_list args, again;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(small, sizeof(small), format, args);
    if (length < 0) {
        fail(b);
    } else if ((size_t)length < sizeof(small)) {
        buffer_append(b, small, (size_t)length);
    } else {
        buffer_reserve(b, (size_t)length + 1); // vsnprintf writes a NUL, which is not kept
        if (!b->failed) {
            vsnprintf(b->data + b->length, (size_t)length + 1, format, again);
            b->length += (size_t)length;
        }
    }
    va_end(again);
    va_end(args);
}

char *buffer_take(struct buffer *b, size_t *out_length)
{
    char *data;

    buffer_reserve(b, 1);
    if (b->failed) {
        buffer_fini(b);
        return NULL;
    }
    data = b->data;
    data[b->length] = '\0';
    if (out_length)
        *out_length = b->length;
    buffer_init(b);
    return data;
}
