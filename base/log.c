#include "base/log.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "base/timefmt.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

// The one mutable global of the program: written once by log_setup before any thread starts.
// Passing a logger to every function that might log would buy nothing.
static struct {
    enum log_format format;
    enum log_level level;
} settings = {LOG_TEXT, LOG_INFO};

void log_setup(enum log_format format, enum log_level level)
{
    settings.format = format;
    settings.level = level;
}

int log_enabled(enum log_level level)
{
    return level >= settings.level;
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return names[level];
}

// Length of the UTF-8 character at `s`, 0 if it is not one (overlong, surrogate, beyond U+10FFFF,
// cut).
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last, min2, max2;
        size_t length;
    } rows[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (s[0] < rows[i].first || s[0] > rows[i].last)
            continue;
        if (rows[i].length > 1 && (s[1] < rows[i].min2 || s[1] > rows[i].max2))
            return 0;
        for (size_t k = 2; k < rows[i].length; k++)
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        return rows[i].length;
    }
    return 0;
}

// A logged value may come from a client or the network: bytes that are no UTF-8 become '?'.
static void put_string(struct json_writer *w, const char *value)
{
    struct buffer clean;

    buffer_init(&clean);
    while (*value) {
        size_t length = utf8_length((const unsigned char *)value);
        buffer_append(&clean, length ? value : "?", length ? length : 1);
        value += length ? length : 1;
    }
    jw_string_n(w, clean.data ? clean.data : "", clean.length);
    buffer_fini(&clean);
}

// Plain words stay bare, everything else is quoted as in JSON.
static void put_bare_or_quoted(struct buffer *line, const char *value)
{
    struct json_writer w;
    const char *at = value;

    while (isalnum((unsigned char)*at) || (*at && strchr("-_./:@+[],%", *at)))
        at++;
    if (*value && *at == '\0') {
        buffer_append_string(line, value);
        return;
    }
    jw_init(&w, line);
    put_string(&w, value);
}

static void write_text(struct buffer *line, enum log_level level, const char *message, va_list args)
{
    static const char *const tags[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    char time[TIME_TEXT_MAX];
    const char *key;

    time_format(clock_wall(), time);
    buffer_printf(line, "%s %s %s", time, tags[level], message);
    while ((key = va_arg(args, const char *))) {
        const char *value = va_arg(args, const char *);
        buffer_append(line, " ", 1);
        buffer_append_string(line, key);
        buffer_append(line, "=", 1);
        put_bare_or_quoted(line, value);
    }
}

static void write_json(struct buffer *line, enum log_level level, const char *message, va_list args)
{
    struct json_writer w;
    const char *key;

    jw_init(&w, line);
    jw_object_begin(&w);
    jw_field_time(&w, "time", clock_wall());
    jw_field_string(&w, "level", level_name(level));
    jw_key(&w, "msg");
    put_string(&w, message);
    while ((key = va_arg(args, const char *))) {
        jw_key(&w, key);
        put_string(&w, va_arg(args, const char *));
    }
    jw_object_end(&w);
}

static void write_all(const char *data, size_t length)
{
    while (length > 0) {
        ssize_t done = write(STDERR_FILENO, data, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return; // nobody is left to tell
        data += done;
        length -= (size_t)done;
    }
}

void log_line(enum log_level level, const char *message, ...)
{
    int saved_errno = errno;
    struct buffer line;
    va_list args;

    if (!log_enabled(level))
        return;
    buffer_init(&line);
    va_start(args, message);
    if (settings.format == LOG_JSON)
        write_json(&line, level, message, args);
    else
        write_text(&line, level, message, args);
    va_end(args);
    buffer_append(&line, "\n", 1);
    if (!line.failed)
        write_all(line.data, line.length);
    buffer_fini(&line);
    errno = saved_errno;
}
