#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

struct error_info {
    int status;
    const char *string;
    const char *title;
};

static const struct error_info infos[] = {[ERROR_NONE] = {200, "none", "OK"},
#define X(code, status, string, title) [code] = {status, string, title},
                                          ERROR_CODES(X)
#undef X
};

// A code that we do not know is our own mistake, but an error path must not die of it.
static const struct error_info *info_of(enum error_code code)
{
    size_t index = (size_t)code;
    return &infos[index < sizeof(infos) / sizeof(infos[0]) ? index : ERROR_INTERNAL];
}

void error_record(struct error *err, enum error_code code, const char *field, const char *format,
                  ...)
{
    va_list args;

    if (err && err->code == ERROR_NONE) {
        err->code = code;
        snprintf(err->field, sizeof(err->field), "%s", field ? field : "");
        va_start(args, format);
        vsnprintf(err->message, sizeof(err->message), format, args);
        va_end(args);
    }
}

int error_status(enum error_code code)
{
    return info_of(code)->status;
}

const char *error_string(enum error_code code)
{
    return info_of(code)->string;
}

const char *error_title(enum error_code code)
{
    return info_of(code)->title;
}
