#include "store/kinds.h"

#include <assert.h>
#include <string.h>

static const struct kind_info infos[KIND_COUNT] = {
    [KIND_INSTANCE] = {"instance", true, true, true, {"zone", "type", "lifecycle"}},
    [KIND_LOAD_BALANCER] = {"load_balancer", true, true, true, {0}},
    [KIND_TARGET_POOL] = {"target_pool", true, true, false, {0}},
    [KIND_ADDRESS] = {"address", true, true, false, {0}},
    [KIND_ROUTE] = {"route", true, true, true, {"network", "destination_cidr"}},
    [KIND_ZONE] = {"zone", true, false, false, {0}},
    [KIND_INSTANCE_TYPE] = {"instance_type", true, false, false, {0}},
    [KIND_LATENCY] = {"latency", true, false, false, {0}},
    [KIND_PROJECT] = {"project", true, false, false, {0}},
    [KIND_CLOCK] = {"clock", false, false, false, {0}},
    [KIND_FAULT] = {"fault", true, true, false, {0}},
    [KIND_QUOTA] = {"quota", true, true, false, {0}},
    [KIND_SCENARIO] = {"scenario", true, true, true, {0}},
    [KIND_CHAOS] = {"chaos", true, true, true, {0}},
    [KIND_CLUSTER] = {"cluster", true, true, true, {0}},
};

const struct kind_info *kind_info(enum kind kind)
{
    assert((unsigned)kind < KIND_COUNT);
    return &infos[kind];
}

const char *kind_name(enum kind kind)
{
    return kind_info(kind)->name;
}

int kind_parse(const char *name, enum kind *out, struct error *err)
{
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (strcmp(infos[kind].name, name) == 0) {
            *out = (enum kind)kind;
            return 0;
        }
    }
    return error_set(err, ERROR_INVALID, "kind", "there is no kind \"%.64s\"", name);
}

size_t kind_columns(enum kind kind, const char *out_names[KIND_COLUMNS_MAX])
{
    const struct kind_info *info = kind_info(kind);
    size_t count = 0;

    while (count < KIND_COLUMNS_MAX && info->columns[count]) {
        out_names[count] = info->columns[count];
        count++;
    }
    return count;
}
