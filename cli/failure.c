#include "cli/failure.h"

#include <stdarg.h>
#include <stdio.h>

int fail(struct failure *f, enum exit_code code, const char *format, ...)
{
    va_list args;

    if (f->code != EXIT_OK)
        return (int)code;
    f->code = code;
    va_start(args, format);
    vsnprintf(f->message, sizeof f->message, format, args);
    va_end(args);
    return (int)code;
}
