// Times and durations as text. Times are nanoseconds since the Unix epoch, durations nanoseconds;
// both int64_t. Times are printed as RFC 3339 UTC with milliseconds (2026-01-01T00:00:00.000Z).
#ifndef BASE_TIMEFMT_H
#define BASE_TIMEFMT_H

#include "base/error.h"

#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define TIME_TEXT_MAX 32                               // with the NUL
#define DURATION_TEXT_MAX 40                           // with the NUL
#define DURATION_MAX (INT64_C(8760) * 3600 * NS_PER_S) // 8760 h, one year

void time_format(int64_t ns, char out[TIME_TEXT_MAX]);
// RFC 3339 with any offset and up to nine fraction digits, years 1970 to 2200.
int time_parse(const char *text, int64_t *out_ns, struct error *err);
// Go's notation: a number with a unit, repeated: "300ms", "1.5s", "1h30m"; units ns us ms s m h.
// "0" is allowed. Not negative, at most DURATION_MAX.
int duration_parse(const char *text, int64_t *out_ns, struct error *err);
void duration_format(int64_t ns, char out[DURATION_TEXT_MAX]); // reads back to the same value

#endif
