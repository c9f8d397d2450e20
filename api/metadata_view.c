#include "api/metadata_view.h"

#include "base/hash.h"
#include "base/random.h"
#include "base/timefmt.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

uint64_t view_hash(const char *text, enum view_purpose purpose)
{
    return random_u64(hash_text(HASH_START, text), 0, (uint32_t)purpose);
}

const char *view_address_at(const struct instance *i, enum address_type type, int family, size_t n)
{
    for (size_t k = 0; k < i->address_count; k++) {
        const struct instance_address *a = &i->addresses[k];

        if (a->type == type && (family == 0 || (int)a->ip.family == family) && n-- == 0)
            return a->text;
    }
    return NULL;
}

const char *view_address(const struct instance *i, enum address_type type, int family)
{
    return view_address_at(i, type, family, 0);
}

// Locally administered, unicast.
const char *view_mac(struct arena *arena, const struct instance *i)
{
    uint64_t h = view_hash(i->r.id, VIEW_MAC);

    return arena_printf(arena, "02:%02x:%02x:%02x:%02x:%02x", (unsigned)(h & 0xff),
                        (unsigned)(h >> 8 & 0xff), (unsigned)(h >> 16 & 0xff),
                        (unsigned)(h >> 24 & 0xff), (unsigned)(h >> 32 & 0xff));
}

// Version 8 (RFC 9562: of one's own making).
const char *view_guid(struct arena *arena, const char *text)
{
    uint64_t high = view_hash(text, VIEW_GUID), low = view_hash(text, VIEW_NUMBER);

    return arena_printf(arena, "%08x-%04x-8%03x-%04x-%012" PRIx64, (unsigned)(high >> 32),
                        (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xfff),
                        (unsigned)(low >> 48 & 0x3fff) | 0x8000U, low & UINT64_C(0xffffffffffff));
}

const char *view_instance_number(struct arena *arena, const struct instance *i)
{
    const uint64_t first = UINT64_C(1000000000000000000);

    return arena_printf(arena, "%" PRIu64, first + view_hash(i->r.id, VIEW_NUMBER) % (7 * first));
}

const char *view_project_number(struct arena *arena, const struct instance *i)
{
    const uint64_t first = UINT64_C(100000000000);

    return arena_printf(arena, "%" PRIu64,
                        first + view_hash(i->r.project_name, VIEW_ACCOUNT) % (8 * first));
}

const char *view_time(struct arena *arena, const char *format, int64_t ns)
{
    time_t seconds = (time_t)(ns / NS_PER_S);
    char text[64];
    struct tm parts;

    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), format, &parts);
    return arena_strdup(arena, text);
}

const struct notice *view_reclaim(const struct instance *i)
{
    return notice_find(i, 1U << NOTICE_SPOT | 1U << NOTICE_PREEMPT);
}

const struct notice *view_maintenance(const struct instance *i)
{
    return notice_find(i, 1U << NOTICE_MAINTENANCE);
}

const struct notice *view_rebalance(const struct instance *i)
{
    return notice_find(i, 1U << NOTICE_REBALANCE);
}
