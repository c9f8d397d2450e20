#include "base/json_writer.h"

#include "base/decimal.h"
#include "base/timefmt.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 63
#define WHOLE_MAX 1e15 // below it "%.15g" has no exponent

// What follows the backslash: 'u' stands for \u00XX, 0 for a byte that needs no escape.
static const char escapes[256] = {
    ['\0'] = 'u', [0x01] = 'u', [0x02] = 'u', [0x03] = 'u', [0x04] = 'u',  [0x05] = 'u',
    [0x06] = 'u', [0x07] = 'u', ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n',  [0x0b] = 'u',
    ['\f'] = 'f', ['\r'] = 'r', [0x0e] = 'u', [0x0f] = 'u', [0x10] = 'u',  [0x11] = 'u',
    [0x12] = 'u', [0x13] = 'u', [0x14] = 'u', [0x15] = 'u', [0x16] = 'u',  [0x17] = 'u',
    [0x18] = 'u', [0x19] = 'u', [0x1a] = 'u', [0x1b] = 'u', [0x1c] = 'u',  [0x1d] = 'u',
    [0x1e] = 'u', [0x1f] = 'u', [0x7f] = 'u', ['"'] = '"',  ['\\'] = '\\',
};

void jw_init(struct json_writer *w, struct buffer *out)
{
    *w = (struct json_writer){.out = out};
}

static void put_char(struct json_writer *w, char c)
{
    struct buffer *b = w->out;

    if (b->length < b->capacity)
        b->data[b->length++] = c;
    else
        buffer_append(b, &c, 1);
}

// Whatever separates this value from the one before it.
static void before_value(struct json_writer *w)
{
    uint64_t bit = UINT64_C(1) << w->depth;

    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth > 0 && (w->has_items & bit))
        put_char(w, ',');
    w->has_items |= bit;
}

static void begin(struct json_writer *w, char bracket)
{
    before_value(w);
    assert(w->depth < DEPTH_MAX);
    w->depth++;
    w->has_items &= ~(UINT64_C(1) << w->depth);
    put_char(w, bracket);
}

static void end(struct json_writer *w, char bracket)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    put_char(w, bracket);
}

void jw_object_begin(struct json_writer *w)
{
    begin(w, '{');
}

void jw_object_end(struct json_writer *w)
{
    end(w, '}');
}

void jw_array_begin(struct json_writer *w)
{
    begin(w, '[');
}

void jw_array_end(struct json_writer *w)
{
    end(w, ']');
}

static void put_escape(struct json_writer *w, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    char escape = escapes[byte];

    if (escape == 'u') {
        char text[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
        buffer_append(w->out, text, sizeof(text));
    } else {
        char text[2] = {'\\', escape};
        buffer_append(w->out, text, sizeof(text));
    }
}

static void put_escaped(struct json_writer *w, const char *value, size_t length)
{
    size_t run = 0; // start of the bytes that are copied as they are

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)value[i];
        if (!escapes[byte])
            continue;
        buffer_append(w->out, value + run, i - run);
        put_escape(w, byte);
        run = i + 1;
    }
    buffer_append(w->out, value + run, length - run);
}

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (EACH_BYTE * 0x80)

// The high bit of each byte that is zero, and perhaps of those above such a one.
static uint64_t zeros(uint64_t word)
{
    return (word - EACH_BYTE) & ~word & HIGH_BITS;
}

// Whether none of eight bytes needs an escape.
static bool is_plain_word(uint64_t word)
{
    uint64_t control = (word - EACH_BYTE * 0x20) & ~word & HIGH_BITS;

    return !(control | zeros(word ^ EACH_BYTE * '"') | zeros(word ^ EACH_BYTE * '\\') |
             zeros(word ^ EACH_BYTE * 0x7f));
}

static bool is_plain(const char *value, size_t length)
{
    uint64_t word;
    char any = 0;

    for (; length >= sizeof(word); value += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, value, sizeof(word));
        if (!is_plain_word(word))
            return false;
    }
    for (size_t i = 0; i < length; i++)
        any |= escapes[(unsigned char)value[i]];
    return !any;
}

// Nearly all strings are short and plain: those are copied at once.
static void put_string(struct json_writer *w, const char *value, size_t length)
{
    struct buffer *b = w->out;

    buffer_reserve(b, length + 2);
    if (!b->failed && is_plain(value, length)) {
        char *at = b->data + b->length;
        at[0] = '"';
        memcpy(at + 1, value, length);
        at[length + 1] = '"';
        b->length += length + 2;
        return;
    }
    put_char(w, '"');
    put_escaped(w, value, length);
    put_char(w, '"');
}

void jw_key(struct json_writer *w, const char *key)
{
    assert(w->depth > 0 && !w->after_key);
    before_value(w);
    put_string(w, key, strlen(key));
    put_char(w, ':');
    w->after_key = true;
}

void jw_string_n(struct json_writer *w, const char *value, size_t length)
{
    before_value(w);
    put_string(w, value, length);
}

void jw_string(struct json_writer *w, const char *value)
{
    jw_string_n(w, value, strlen(value));
}

void jw_int(struct json_writer *w, int64_t value)
{
    char text[DECIMAL_MAX];

    before_value(w);
    if (value < 0)
        put_char(w, '-');
    decimal_put(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    buffer_append_string(w->out, text);
}

void jw_double(struct json_writer *w, double value)
{
    char text[32];
    int length = 0;

    assert(isfinite(value));
    if (fabs(value) < WHOLE_MAX && value == (double)(int64_t)value &&
        !(value == 0 && signbit(value))) {
        jw_int(w, (int64_t)value); // the same text, without printf
        return;
    }
    before_value(w);
    for (int digits = 15; digits <= 17; digits++) {
        length = snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buffer_append(w->out, text, (size_t)length);
}

void jw_bool(struct json_writer *w, bool value)
{
    before_value(w);
    buffer_append_string(w->out, value ? "true" : "false");
}

void jw_null(struct json_writer *w)
{
    before_value(w);
    buffer_append(w->out, "null", 4);
}

void jw_time(struct json_writer *w, int64_t ns)
{
    char text[TIME_TEXT_MAX];

    time_format(ns, text);
    jw_string(w, text);
}

void jw_raw(struct json_writer *w, const char *json, size_t length)
{
    before_value(w);
    buffer_append(w->out, json, length);
}

void jw_field_string(struct json_writer *w, const char *key, const char *value)
{
    jw_key(w, key);
    jw_string(w, value);
}

void jw_field_int(struct json_writer *w, const char *key, int64_t value)
{
    jw_key(w, key);
    jw_int(w, value);
}

void jw_field_time(struct json_writer *w, const char *key, int64_t ns)
{
    jw_key(w, key);
    jw_time(w, ns);
}

void jw_field_duration(struct json_writer *w, const char *key, int64_t ns)
{
    char text[DURATION_TEXT_MAX];

    duration_format(ns, text);
    jw_field_string(w, key, text);
}
