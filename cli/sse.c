#include "cli/sse.h"

#include <string.h>

void sse_init(struct sse *s, bool (*on_event)(void *user, const char *data, size_t length),
              void *user)
{
    memset(s, 0, sizeof *s);
    buffer_init(&s->line);
    buffer_init(&s->data);
    s->on_event = on_event;
    s->user = user;
}

void sse_fini(struct sse *s)
{
    buffer_fini(&s->line);
    buffer_fini(&s->data);
}

void sse_restart(struct sse *s)
{
    buffer_clear(&s->line);
    buffer_clear(&s->data);
    s->has_data = false;
    s->skip_lf = false;
    strcpy(s->next_id, s->id);
}

static bool dispatch(struct sse *s)
{
    bool go_on = true;

    strcpy(s->id, s->next_id);
    if (s->has_data) {
        go_on = !s->data.failed &&
                s->on_event(s->user, s->data.data != NULL ? s->data.data : "", s->data.length);
    }
    buffer_clear(&s->data);
    s->has_data = false;
    return go_on;
}

// A revision, or revision and epoch: "120-3".
static void set_id(struct sse *s, const char *value, size_t length)
{
    if (length > 0 && length < sizeof s->next_id && strspn(value, "0123456789-") >= length) {
        memcpy(s->next_id, value, length);
        s->next_id[length] = '\0';
    }
}

static void field(struct sse *s, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    size_t name = colon != NULL ? (size_t)(colon - line) : length;
    const char *value = colon != NULL ? colon + 1 : line + length;
    size_t value_length = length - name - (colon != NULL);

    if (value_length > 0 && value[0] == ' ') {
        value++;
        value_length--;
    }
    if (name == 4 && memcmp(line, "data", 4) == 0) {
        if (s->has_data)
            buffer_append(&s->data, "\n", 1);
        buffer_append(&s->data, value, value_length);
        s->has_data = true;
    } else if (name == 2 && memcmp(line, "id", 2) == 0) {
        set_id(s, value, value_length);
    }
}

static bool end_line(struct sse *s)
{
    bool go_on = !s->line.failed;

    if (s->line.length == 0 && go_on) {
        go_on = dispatch(s);
    } else if (go_on) {
        buffer_append(&s->line, "", 1); // so that text functions end in it
        if (!s->line.failed)
            field(s, s->line.data, s->line.length - 1);
    }
    buffer_clear(&s->line);
    return go_on;
}

bool sse_feed(struct sse *s, const char *bytes, size_t length)
{
    size_t start = 0;

    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != '\n' && bytes[i] != '\r') {
            s->skip_lf = false;
            continue;
        }
        if (bytes[i] == '\n' && s->skip_lf) {
            s->skip_lf = false;
            start = i + 1;
            continue;
        }
        s->skip_lf = bytes[i] == '\r';
        buffer_append(&s->line, bytes + start, i - start);
        start = i + 1;
        if (!end_line(s))
            return false;
    }
    buffer_append(&s->line, bytes + start, length - start);
    return !s->line.failed;
}
