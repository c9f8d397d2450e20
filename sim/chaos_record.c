// How chaos is stored and shown.
#include "sim/chaos_internal.h"
#include "sim/packed.h"
#include "sim/txn.h"

static const char *const chaos_state_names[] = {"running", "stopped", "deleting", NULL};
static const char *const outcome_names[] = {"none", "done", "dry-run", "skipped"};

static const struct packed_field later_fields[] = {
    PACKED_OF(INT64, chaos_later, due_ns),
    PACKED_ENUM(chaos_later, remedy, REMEDIES),
    PACKED_OF(STRING, chaos_later, id),
    PACKED_OF(STRING, chaos_later, zone),
    PACKED_OF(STRING, chaos_later, type),
    PACKED_OF(INT, chaos_later, lifecycle),
    PACKED_OF(INT, chaos_later, backend),
    PACKED_LIST_OF(chaos_later, tags, tag_count, store_tag, packed_tag_fields),
    PACKED_END};

static const struct packed_field chaos_fields[] = {
    PACKED_OF(STRING, chaos, set.profile),
    PACKED_OF(BOOL, chaos, set.respawn),
    PACKED_OF(BOOL, chaos, set.dry_run),
    PACKED_OF(INT64, chaos, set.duration_ns),
    PACKED_OF(INT64, chaos, set.min_down_ns),
    PACKED_OF(INT64, chaos, set.max_down_ns),
    PACKED_OF(INT64, chaos, set.notice_ns),
    PACKED_OF(INT, chaos, set.max_down),
    PACKED_OF(INT, chaos, set.max_down_per_zone),
    PACKED_OF(INT, chaos, set.min_running),
    PACKED_LIST_OF(chaos, set.protect, set.protect_count, store_tag, packed_tag_fields),
    PACKED_OF(INT64, chaos, seed),
    PACKED_OF(INT64, chaos, ordinal),
    PACKED_OF(INT64, chaos, next_ns),
    PACKED_OF(INT64, chaos, started_ns),
    PACKED_OF(INT64, chaos, ended_ns),
    PACKED_OF(INT64, chaos, until_ns),
    PACKED_LIST_OF(chaos, later, later_count, chaos_later, later_fields),
    PACKED_ENUM(chaos, last_action, CHAOS_ACTION_COUNT),
    PACKED_ENUM(chaos, last_outcome, OUTCOMES),
    PACKED_OF(STRING, chaos, last_id),
    PACKED_OF(STRING, chaos, last_zone),
    PACKED_OF(STRING, chaos, last_message),
    PACKED_END};

static void pack_chaos(const struct resource *r, struct buffer *out)
{
    const struct chaos *c = (const struct chaos *)r;

    pack_fields(chaos_fields, r, out);
    pack_int(out, CHAOS_ACTION_COUNT); // more may come
    for (int i = 0; i < CHAOS_ACTION_COUNT; i++) {
        pack_int(out, c->set.rates[i]);
        pack_int(out, c->done[i]);
        pack_int(out, c->skipped[i]);
    }
}

static void unpack_chaos(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct chaos *c = (struct chaos *)r;
    int count;

    unpack_fields(chaos_fields, r, in, arena);
    count = unpack_enum(in, CHAOS_ACTION_COUNT + 1);
    for (int i = 0; i < count; i++) {
        c->set.rates[i] = unpack_int(in);
        c->done[i] = unpack_int(in);
        c->skipped[i] = unpack_int(in);
    }
    in->failed |= r->state < 0 || r->state >= CHAOS_STATES;
}

// --- the document ---

static void field_duration(struct json_writer *w, const char *key, int64_t ns)
{
    if (ns != 0)
        jw_field_duration(w, key, ns);
}

static void encode_rates(const struct chaos *c, struct json_writer *w)
{
    jw_key(w, "rates");
    jw_object_begin(w);
    for (int i = 0; i < CHAOS_ACTION_COUNT; i++) {
        if (c->set.rates[i] == 0)
            continue;
        jw_key(w, chaos_action_names[i]);
        jw_double(w, (double)c->set.rates[i] / CHAOS_RATE_UNIT);
    }
    jw_object_end(w);
}

static void encode_counts(const char *key, const int64_t counts[], struct json_writer *w)
{
    jw_key(w, key);
    jw_object_begin(w);
    for (int i = 0; i < CHAOS_ACTION_COUNT; i++)
        if (counts[i] > 0)
            jw_field_int(w, chaos_action_names[i], counts[i]);
    jw_object_end(w);
}

static void encode_limits(const struct chaos_settings *set, struct json_writer *w)
{
    jw_key(w, "limits");
    jw_object_begin(w);
    if (set->max_down > 0)
        jw_field_int(w, "max_down", set->max_down);
    if (set->max_down_per_zone > 0)
        jw_field_int(w, "max_down_per_zone", set->max_down_per_zone);
    if (set->min_running > 0)
        jw_field_int(w, "min_running", set->min_running);
    jw_key(w, "protect");
    jw_object_begin(w);
    for (size_t i = 0; i < set->protect_count; i++) {
        jw_key(w, set->protect[i].key);
        set->protect[i].value ? jw_string(w, set->protect[i].value) : jw_null(w);
    }
    jw_object_end(w);
    jw_object_end(w);
}

static void encode_last(const struct chaos *c, struct json_writer *w)
{
    bool of_target = c->last_action == CHAOS_TARGET_FAILURE;

    if (c->ordinal == 0)
        return;
    jw_key(w, "last");
    jw_object_begin(w);
    jw_field_int(w, "number", c->ordinal);
    jw_field_string(w, "action", chaos_action_names[c->last_action]);
    jw_field_string(w, "outcome", outcome_names[c->last_outcome]);
    if (c->last_id)
        jw_field_string(w, of_target ? "target_pool_id" : "instance_id", c->last_id);
    if (c->last_zone)
        jw_field_string(w, of_target ? "target" : "zone", c->last_zone);
    if (c->last_message)
        jw_field_string(w, "message", c->last_message);
    jw_object_end(w);
}

// Without those that a dry run would have ended for good by then.
static int64_t count_later(const struct chaos *c)
{
    int64_t count = 0;

    for (size_t i = 0; i < c->later_count; i++)
        count += c->later[i].remedy != REMEDY_GONE || c->later[i].due_ns > c->r.updated_ns;
    return count;
}

static void encode_chaos(const struct resource *r, struct json_writer *w)
{
    const struct chaos *c = (const struct chaos *)r;

    jw_object_begin(w);
    encode_head(r, w);
    encode_state(r, w);
    if (c->set.profile)
        jw_field_string(w, "profile", c->set.profile);
    jw_field_int(w, "seed", c->seed);
    jw_key(w, "respawn");
    jw_bool(w, c->set.respawn);
    jw_key(w, "dry_run");
    jw_bool(w, c->set.dry_run);
    encode_rates(c, w);
    encode_limits(&c->set, w);
    field_duration(w, "min_down", c->set.min_down_ns);
    field_duration(w, "max_down", c->set.max_down_ns);
    field_duration(w, "notice", c->set.notice_ns);
    field_duration(w, "for", c->set.duration_ns);
    encode_counts("done", c->done, w);
    encode_counts("skipped", c->skipped, w);
    jw_field_int(w, "down", count_later(c));
    encode_last(c, w);
    jw_field_time(w, "started_at", c->started_ns);
    if (c->ended_ns != 0)
        jw_field_time(w, "ended_at", c->ended_ns);
    if (c->next_ns != 0)
        jw_field_time(w, "next_at", c->next_ns);
    jw_field_time(w, "created_at", r->created_ns);
    jw_field_time(w, "updated_at", r->updated_ns);
    if (r->transition_ns != 0)
        jw_field_time(w, "transition_at", r->transition_ns);
    jw_field_int(w, "revision", r->revision);
    jw_object_end(w);
}

const struct kind_ops chaos_kind = {
    .kind = KIND_CHAOS,
    .size = sizeof(struct chaos),
    .id_prefix = "chs",
    .state_names = chaos_state_names,
    .pack = pack_chaos,
    .unpack = unpack_chaos,
    .encode = encode_chaos,
    .due = chaos_due,
};
