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

static void put_head(struct json_writer *w, const char *title, int status, const char *code)
{
    jw_object_begin(w);
    jw_field_string(w, "type", "about:blank");
    jw_field_string(w, "title", title);
    jw_field_int(w, "status", status);
    jw_field_string(w, "code", code);
}

void problem_encode(const struct error *err, const char *request_id, struct buffer *out)
{
    struct json_writer w;

    jw_init(&w, out);
    put_head(&w, error_title(err->code), error_status(err->code), error_string(err->code));
    put_text(&w, "detail", err->message);
    if (err->field[0])
        put_text(&w, "field", err->field);
    jw_field_string(&w, "request_id", request_id);
    jw_object_end(&w);
}

static enum error_code code_of_status(int status)
{
    static const enum error_code codes[] = {
#define X(code, status, string, title) code,
        ERROR_CODES(X)
#undef X
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (error_status(codes[i]) == status)
            return codes[i];
    return ERROR_NONE;
}

void problem_encode_injected(int status, const char *code, const char *message,
                             const char *request_id, struct buffer *out)
{
    enum error_code usual = code_of_status(status);
    bool known = usual != ERROR_NONE;
    struct json_writer w;

    jw_init(&w, out);
    if (!code)
        code = known ? error_string(usual) : status < 500 ? "invalid_argument" : "internal";
    put_head(&w, known ? error_title(usual) : "Injected Fault", status, code);
    put_text(&w, "detail", message ? message : "a fault rule says so");
    jw_field_string(&w, "request_id", request_id);
    jw_object_end(&w);
}
