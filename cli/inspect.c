#include "cli/inspect.h"

#include "base/timefmt.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

static json_t *counts_of(const struct snapshot_info *info)
{
    json_t *counts = json_object();

    for (int kind = 0; kind < KIND_COUNT; kind++)
        if (info->counts[kind] >= 0)
            json_object_set_new(counts, kind_name((enum kind)kind),
                                json_integer(info->counts[kind]));
    return counts;
}

json_t *inspect_snapshot(const char *path, struct error *err)
{
    static const char *const modes[] = {"real", "scaled", "manual"};
    struct snapshot_info info = {0};
    char seed[24], time[TIME_TEXT_MAX];

    if (store_snapshot_inspect(path, &info, err) < 0)
        return NULL;
    snprintf(seed, sizeof(seed), "%" PRIu64, (uint64_t)info.seed);
    time_format(info.clock_ns, time);
    return json_pack("{sI sI sI sI ss s{ss ss} so}", "schema_version", (json_int_t)info.schema,
                     "revision", (json_int_t)info.revision, "epoch", (json_int_t)info.epoch,
                     "events", (json_int_t)info.events, "seed", seed, "clock", "mode",
                     modes[info.clock_mode < 0 || info.clock_mode > 2 ? 0 : info.clock_mode], "now",
                     time, "resources", counts_of(&info));
}
