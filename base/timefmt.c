#include "base/timefmt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define S_PER_DAY INT64_C(86400)
#define TIME_PARSE_END_S INT64_C(7289654400) // 2201-01-01T00:00:00Z

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, and back. The year is taken
// to start in March, so that the leap day is its last one; an era is 400 years, 146097 days.
static int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void civil_from_days(int64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned shifted = (5 * doy + 2) / 153;

    *day = doy - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = yoe + (unsigned)(era * 400) + (*month <= 2);
}

static char *put_digits(char *at, unsigned value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

void time_format(int64_t ns, char out[TIME_TEXT_MAX])
{
    int64_t ms = ns / NS_PER_MS - (ns % NS_PER_MS < 0);
    int64_t days = ms / (S_PER_DAY * 1000) - (ms % (S_PER_DAY * 1000) < 0);
    unsigned rest = (unsigned)(ms - days * S_PER_DAY * 1000);
    unsigned year, month, day;
    char *at = out;

    civil_from_days(days, &year, &month, &day);
    at = put_digits(at, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, rest / 3600000, 2);
    *at++ = ':';
    at = put_digits(at, rest / 60000 % 60, 2);
    *at++ = ':';
    at = put_digits(at, rest / 1000 % 60, 2);
    *at++ = '.';
    at = put_digits(at, rest % 1000, 3);
    *at++ = 'Z';
    *at = '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Exactly `width` digits within min..max.
static bool take_number(const char **text, int width, int min, int max, int *out)
{
    int value = 0;

    for (int i = 0; i < width; i++) {
        if (!is_digit((*text)[i]))
            return false;
        value = value * 10 + ((*text)[i] - '0');
    }
    if (value < min || value > max)
        return false;
    *text += width;
    *out = value;
    return true;
}

static bool take_char(const char **text, char a, char b)
{
    if (**text == '\0' || (**text != a && **text != b))
        return false;
    (*text)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_date(const char **text, int64_t *out_days)
{
    int year, month, day;

    if (!take_number(text, 4, 0, 9999, &year) || !take_char(text, '-', '-') ||
        !take_number(text, 2, 1, 12, &month) || !take_char(text, '-', '-') ||
        !take_number(text, 2, 1, days_in_month(year, month), &day))
        return false;
    *out_days = days_from_civil(year, month, day);
    return true;
}

static bool take_clock(const char **text, int64_t *out_seconds)
{
    int hour, minute, second;

    if (!take_number(text, 2, 0, 23, &hour) || !take_char(text, ':', ':') ||
        !take_number(text, 2, 0, 59, &minute) || !take_char(text, ':', ':') ||
        !take_number(text, 2, 0, 59, &second))
        return false;
    *out_seconds = hour * 3600 + minute * 60 + second;
    return true;
}

// Nothing, or '.' and one to nine digits.
static bool take_fraction(const char **text, int64_t *out_ns)
{
    int64_t unit = NS_PER_S;

    *out_ns = 0;
    if (!take_char(text, '.', '.'))
        return true;
    if (!is_digit(**text))
        return false;
    for (; is_digit(**text) && unit > 1; (*text)++) {
        unit /= 10;
        *out_ns += unit * (**text - '0');
    }
    return !is_digit(**text);
}

static bool take_offset(const char **text, int64_t *out_seconds)
{
    bool west = **text == '-';
    int hours, minutes;

    *out_seconds = 0;
    if (take_char(text, 'Z', 'z'))
        return true;
    if (!take_char(text, '+', '-') || !take_number(text, 2, 0, 23, &hours) ||
        !take_char(text, ':', ':') || !take_number(text, 2, 0, 59, &minutes))
        return false;
    *out_seconds = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

int time_parse(const char *text, int64_t *out_ns, struct error *err)
{
    int64_t days, seconds, fraction, offset;
    const char *at = text;

    if (!take_date(&at, &days) || !take_char(&at, 'T', 't') || !take_clock(&at, &seconds) ||
        !take_fraction(&at, &fraction) || !take_offset(&at, &offset) || *at != '\0')
        return error_set(err, ERROR_INVALID, NULL,
                         "\"%.40s\" is not an RFC 3339 time like 2026-01-01T00:00:00Z", text);
    seconds += days * S_PER_DAY - offset;
    if (seconds < 0 || seconds >= TIME_PARSE_END_S)
        return error_set(err, ERROR_INVALID, NULL, "\"%.40s\" is outside the years 1970 to 2200",
                         text);
    *out_ns = seconds * NS_PER_S + fraction;
    return 0;
}

struct unit {
    const char *name;
    int64_t ns;
};

static const struct unit units[] = {
    // a name precedes its own beginnings: "ms" before "m"
    {"ns", 1},       {"us", 1000},         {"ms", NS_PER_MS},
    {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
};

static const struct unit *take_unit(const char **text)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t length = strlen(units[i].name);
        if (strncmp(*text, units[i].name, length) == 0) {
            *text += length;
            return &units[i];
        }
    }
    return NULL;
}

// One "1.5s". Exact: whole and fraction are integers, the latter over a power of ten. What lies
// beyond 15 fraction digits is below a nanosecond for every unit and dropped.
static bool take_part(const char **text, __int128 *total)
{
    int64_t whole = 0, fraction = 0, scale = 1;
    const struct unit *unit;
    int digits = 0;

    for (; is_digit(**text); (*text)++, digits++)
        if (whole <= DURATION_MAX) // beyond it is too long whatever the unit; do not overflow
            whole = whole * 10 + (**text - '0');
    if (take_char(text, '.', '.')) {
        for (; is_digit(**text); (*text)++, digits++) {
            if (scale >= INT64_C(1000000000000000))
                continue;
            fraction = fraction * 10 + (**text - '0');
            scale *= 10;
        }
    }
    unit = take_unit(text);
    if (digits == 0 || !unit)
        return false;
    *total += (__int128)whole * unit->ns + (__int128)fraction * unit->ns / scale;
    if (*total > DURATION_MAX)
        *total = (__int128)DURATION_MAX + 1;
    return true;
}

int duration_parse(const char *text, int64_t *out_ns, struct error *err)
{
    const char *at = text;
    __int128 total = 0;
    bool ok = *text != '\0';

    if (strcmp(text, "0") == 0) {
        *out_ns = 0;
        return 0;
    }
    while (ok && *at != '\0')
        ok = take_part(&at, &total);
    if (!ok)
        return error_set(err, ERROR_INVALID, NULL,
                         "\"%.40s\" is not a duration like 300ms, 1.5s or 1h30m", text);
    if (total > DURATION_MAX)
        return error_set(err, ERROR_INVALID, NULL, "\"%.40s\" is longer than 8760h", text);
    *out_ns = (int64_t)total;
    return 0;
}

// value/unit as a decimal without trailing zeros, then the unit.
static void put_part(char *out, size_t size, uint64_t value, uint64_t unit, const char *name)
{
    uint64_t rest = value % unit;
    char fraction[12] = "";
    char *at = fraction;

    for (uint64_t step = unit; rest; rest %= step) {
        if (at == fraction)
            *at++ = '.';
        step /= 10;
        *at++ = (char)('0' + rest / step);
        *at = '\0';
    }
    snprintf(out, size, "%llu%s%s", (unsigned long long)(value / unit), fraction, name);
}

static size_t put_whole(char *out, size_t at, uint64_t count, char unit)
{
    if (count == 0)
        return at;
    return at + (size_t)snprintf(out + at, DURATION_TEXT_MAX - at, "%llu%c",
                                 (unsigned long long)count, unit);
}

// Below a second a lone rest is in the largest unit of which it has one: 1.5ms, not 0.0015s.
static const struct unit *unit_of_rest(uint64_t rest, bool alone)
{
    size_t i = 3;

    while (alone && i > 0 && rest != 0 && rest < (uint64_t)units[i].ns)
        i--;
    return &units[i];
}

void duration_format(int64_t ns, char out[DURATION_TEXT_MAX])
{
    uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    uint64_t minutes = left / (60 * (uint64_t)NS_PER_S);
    uint64_t rest = left % (60 * (uint64_t)NS_PER_S);
    const struct unit *unit = unit_of_rest(rest, minutes == 0);
    size_t at = 0;

    if (ns < 0)
        out[at++] = '-';
    at = put_whole(out, at, minutes / 60, 'h');
    at = put_whole(out, at, minutes % 60, 'm');
    if (rest > 0 || minutes == 0)
        put_part(out + at, DURATION_TEXT_MAX - at, rest, (uint64_t)unit->ns, unit->name);
}
