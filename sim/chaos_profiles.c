#include "base/timefmt.h"
#include "sim/chaos.h"

#include <string.h>

const char *const chaos_action_names[] = {
#define X(id, name) name,
    CHAOS_ACTIONS(X)
#undef X
        NULL};

#define MINUTE (60 * NS_PER_S)
#define PER_HOUR(n) ((int64_t)((n)*CHAOS_RATE_UNIT))
#define USUAL                                                                 \
    .respawn = true, .min_down_ns = 30 * NS_PER_S, .max_down_ns = 5 * MINUTE, \
    .notice_ns = 2 * MINUTE, .max_down = 10

// Rates are those of the whole cloud.
// clang-format off
const struct chaos_profile chaos_profiles[] = {
    {"calm", "now and then an instance is rebooted or lost",
     {.rates = {[CHAOS_TERMINATE] = PER_HOUR(0.5), [CHAOS_REBOOT] = PER_HOUR(2)}, USUAL}},
    {"spot-heavy", "spot instances are interrupted all the time, others die sometimes",
     {.rates = {[CHAOS_INTERRUPT] = PER_HOUR(30), [CHAOS_TERMINATE] = PER_HOUR(4),
                [CHAOS_REBOOT] = PER_HOUR(4)}, USUAL}},
    {"flaky-nodes", "instances stop and come back, and reboot; targets fail health checks",
     {.rates = {[CHAOS_STOP] = PER_HOUR(20), [CHAOS_REBOOT] = PER_HOUR(20),
                [CHAOS_TARGET_FAILURE] = PER_HOUR(20)}, USUAL}},
    {"zone-trouble", "a zone goes down a few times a day, for ten minutes to half an hour",
     {.rates = {[CHAOS_ZONE_OUTAGE] = PER_HOUR(0.2), [CHAOS_STOP] = PER_HOUR(4)}, .respawn = true,
      .min_down_ns = 10 * MINUTE, .max_down_ns = 30 * MINUTE, .notice_ns = 2 * MINUTE}},
    {"bad-api", "the API is slow, and fails, for minutes at a time",
     {.rates = {[CHAOS_SLOW_API] = PER_HOUR(2), [CHAOS_API_ERRORS] = PER_HOUR(2)}, USUAL}},
    {"mayhem", "all of it",
     {.rates = {[CHAOS_TERMINATE] = PER_HOUR(10), [CHAOS_STOP] = PER_HOUR(20),
                [CHAOS_REBOOT] = PER_HOUR(20), [CHAOS_INTERRUPT] = PER_HOUR(20),
                [CHAOS_ZONE_OUTAGE] = PER_HOUR(0.5), [CHAOS_SLOW_API] = PER_HOUR(2),
                [CHAOS_API_ERRORS] = PER_HOUR(2), [CHAOS_TARGET_FAILURE] = PER_HOUR(20)}, USUAL}},
    {NULL, NULL, {.profile = NULL}}};
// clang-format on

const struct chaos_profile *chaos_profile_find(const char *name)
{
    for (const struct chaos_profile *p = chaos_profiles; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}
