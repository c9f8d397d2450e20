#include "base/decimal.h"

#include <stddef.h>

char *decimal_put(char *out, uint64_t number)
{
    char digits[DECIMAL_MAX];
    size_t count = 0;

    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0)
        *out++ = digits[--count];
    *out = '\0';
    return out;
}
