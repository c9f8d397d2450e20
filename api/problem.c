#include "api/problem.h"

#include "base/json_writer.h"

#include <jansson.h>
#include <string.h>

// Messages and fields may quote what the client sent, cut anywhere: what is no UTF-8 becomes '?'.
static void put_text(struct json_writer *w, const char *key, const char *text)
{
    char clean[sizeof(((struct error *)0)->message)];
    size_t length = strlen(text);
    json_t *whole = json_stringn(text, length);

    jw_key(w, key);
    if (whole) {
        jw_string_n(w, text, length);
        json_decref(whole);
        return;
    }
    for (size_t i = 0; i < length; i++)
        clean[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    jw_string_n(w, clean, length);
}

void problem_encode(const struct error *err, const char *request_id, struct buffer *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object_begin(&w);
    jw_field_string(&w, "type", "about:blank");
    jw_field_string(&w, "title", error_title(err->code));
    jw_field_int(&w, "status", error_status(err->code));
    jw_field_string(&w, "code", error_string(err->code));
    put_text(&w, "detail", err->message);
    if (err->field[0])
        put_text(&w, "field", err->field);
    jw_field_string(&w, "request_id", request_id);
    jw_object_end(&w);
}
