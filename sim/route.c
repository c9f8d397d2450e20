#include "sim/route.h"

#include "sim/names.h"
#include "sim/pack.h"
#include "sim/txn.h"

// clang-format off
//
//   create ─► pending ─deadline─► active ──down──► blackhole
//                                   ▲                 │
//                                   └───────up────────┘
//
//   any of these ─delete─► deleting ─deadline─► deleted
//
// A pending route takes no notice of its next hop: on its deadline it becomes active and is then told at
// once how the hop is. Updating leaves the state as it is. `deleted` is shown in the last event only.

enum {
    NO = MACHINE_REFUSED,
    PENDING = ROUTE_PENDING, ACTIVE = ROUTE_ACTIVE, BLACK = ROUTE_BLACKHOLE,
    DELETING = ROUTE_DELETING, DELETED = ROUTE_DELETED
};

static const short moves[ROUTE_STATES][ROUTE_EVENTS] = {
    //             up        down      update   delete    deadline
    [PENDING]   = {PENDING,  PENDING,  PENDING, DELETING, ACTIVE},
    [ACTIVE]    = {ACTIVE,   BLACK,    ACTIVE,  DELETING, NO},
    [BLACK]     = {ACTIVE,   BLACK,    BLACK,   DELETING, NO},
    [DELETING]  = {DELETING, DELETING, NO,      DELETING, DELETED},
    [DELETED]   = {NO,       NO,       NO,      NO,       NO},
};
// clang-format on

static const char *const timers[ROUTE_STATES] = {
    [PENDING] = "route.pending",
    [DELETING] = "route.deleting",
};

const struct machine route_machine = {
    .noun = "route",
    .states = ROUTE_STATES,
    .events = ROUTE_EVENTS,
    .moves = &moves[0][0],
    .state_names = route_state_names,
    .timers = timers,
    .deadline = ROUTE_DEADLINE,
    .gone = ROUTE_DELETED,
    .fail = MACHINE_REFUSED,
};

int route_step(enum route_state state, enum route_event event, enum route_state *out)
{
    int next;
    int rc = machine_step(&route_machine, (int)state, (int)event, &next);

    if (rc == 0)
        *out = (enum route_state)next;
    return rc;
}

// --- record ---

static void pack(const struct resource *r, struct buffer *out)
{
    const struct route *route = (const struct route *)r;

    pack_string(out, route->network);
    pack_string(out, route->destination_cidr);
    pack_string(out, route->next_hop_instance_id);
    pack_string(out, route->next_hop_address);
}

static void unpack(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct route *route = (struct route *)r;

    (void)arena;
    route->network = unpack_string(in);
    route->destination_cidr = unpack_string(in);
    route->next_hop_instance_id = unpack_string(in);
    route->next_hop_address = unpack_string(in);
}

static void encode(const struct resource *r, struct json_writer *w)
{
    const struct route *route = (const struct route *)r;

    jw_object_begin(w);
    encode_head(r, w);
    jw_field_string(w, "network", route->network);
    jw_field_string(w, "destination_cidr", route->destination_cidr);
    jw_key(w, "next_hop");
    jw_object_begin(w);
    if (route->next_hop_instance_id)
        jw_field_string(w, "instance_id", route->next_hop_instance_id);
    else
        jw_field_string(w, "address", route->next_hop_address);
    jw_object_end(w);
    encode_state(r, w);
    encode_tail(r, w);
    jw_object_end(w);
}

static void columns(const struct resource *r, const char *out[KIND_COLUMNS_MAX])
{
    const struct route *route = (const struct route *)r;

    out[0] = route->network;
    out[1] = route->destination_cidr;
}

static size_t references(const struct resource *r, struct arena *arena, const char ***out)
{
    const struct route *route = (const struct route *)r;

    if (!route->next_hop_instance_id)
        return 0;
    *out = arena_alloc(arena, sizeof(**out));
    (*out)[0] = route->next_hop_instance_id;
    return 1;
}

const struct kind_ops route_kind = {
    .kind = KIND_ROUTE,
    .size = sizeof(struct route),
    .id_prefix = "rt",
    .state_names = route_state_names,
    .pack = pack,
    .unpack = unpack,
    .encode = encode,
    .columns = columns,
    .references = references,
    .due = route_due,
};
