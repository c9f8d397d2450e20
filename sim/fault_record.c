// The record and the document of a fault rule.
#include "base/timefmt.h"
#include "sim/cloud_internal.h"
#include "sim/fault_cloud.h"
#include "sim/fault_internal.h"
#include "sim/pack.h"

#include <string.h>

const char *const fault_effect_names[] = {
#define X(id, name, place) [id] = name,
    FAULT_EFFECTS(X)
#undef X
        [FAULT_EFFECT_TYPES] = NULL,
};
const char *const fault_reply_names[] = {"error", "drop", "silence", NULL};
const char *const fault_lack_names[] = {"capacity", "quota", NULL};
const char *const fault_outage_names[] = {"stop", "error", "keep", NULL};
const char *const fault_clock_names[] = {"real", "cloud", NULL};
const char *const fault_wrong_names[] = {"addresses_missing",
                                         "addresses_reordered",
                                         "addresses_wrong",
                                         "duplicate_names",
                                         "malformed_ids",
                                         "clock_skew",
                                         NULL};
const char *const scope_names[] = {[SCOPE_CLOUD] = "cloud", [SCOPE_SIM] = "sim", NULL};

enum fault_place fault_place_of(enum fault_effect_type type)
{
    static const enum fault_place places[] = {
#define X(id, name, place) [id] = place,
        FAULT_EFFECTS(X)
#undef X
    };
    return places[type];
}

// --- packed ---

static void pack_double(struct buffer *out, double value)
{
    int64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    pack_int(out, bits);
}

static double unpack_double(struct unpacker *in)
{
    int64_t bits = unpack_int(in);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void pack_match(const struct fault_match *m, struct buffer *out)
{
    const struct fault_selector *s = &m->resource;

    pack_int(out, (int64_t)m->operation_count);
    for (size_t i = 0; i < m->operation_count; i++) {
        pack_string(out, m->operations[i]);
    }
    pack_int(out, m->has_resource);
    pack_int(out, s->kind);
    const char *const texts[] = {s->id, s->name, s->zone, s->type, s->state};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        pack_string(out, texts[i]);
    }
    pack_int(out, (int64_t)s->tag_count);
    for (size_t i = 0; i < s->tag_count; i++) {
        pack_string(out, s->tags[i].key);
        pack_string(out, s->tags[i].value);
    }
    pack_int(out, m->scope);
    pack_string(out, m->user_agent);
}

static void unpack_match(struct fault_match *m, struct unpacker *in, struct arena *arena)
{
    struct fault_selector *s = &m->resource;

    m->operation_count = unpack_count(in);
    m->operations = arena_alloc(arena, m->operation_count * sizeof(*m->operations) + 1);
    for (size_t i = 0; i < m->operation_count; i++) {
        m->operations[i] = unpack_string(in);
        in->failed |= m->operations[i] == NULL;
    }
    m->has_resource = unpack_int(in) != 0;
    s->kind = (int)unpack_int(in);
    in->failed |= s->kind < -1 || s->kind >= KIND_COUNT;
    const char **const texts[] = {&s->id, &s->name, &s->zone, &s->type, &s->state};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i] = unpack_string(in);
    }
    s->tag_count = unpack_count(in);
    s->tags = arena_alloc(arena, s->tag_count * sizeof(*s->tags) + 1);
    for (size_t i = 0; i < s->tag_count; i++) {
        s->tags[i].key = unpack_string(in);
        s->tags[i].value = unpack_string(in);
        in->failed |= s->tags[i].key == NULL || s->tags[i].value == NULL;
    }
    m->scope = (int)unpack_int(in);
    m->user_agent = unpack_string(in);
}

static void pack_when(const struct fault_when *w, struct buffer *out)
{
    const int64_t numbers[] = {w->from_ns, w->until_ns, w->after, w->first, w->every, w->times};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        pack_int(out, numbers[i]);
    }
    pack_double(out, w->probability);
}

static void unpack_when(struct fault_when *w, struct unpacker *in)
{
    int64_t *const numbers[] = {&w->from_ns, &w->until_ns, &w->after,
                                &w->first,   &w->every,    &w->times};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        *numbers[i] = unpack_int(in);
    }
    w->probability = unpack_double(in);
}

static void pack_effect(const struct fault_effect *e, struct buffer *out)
{
    pack_int(out, (int64_t)e->type);
    pack_int(out, (int64_t)e->delay.kind);
    pack_int(out, e->delay.a);
    pack_int(out, e->delay.b);
    pack_int(out, (int64_t)e->clock);
    pack_int(out, e->status);
    pack_string(out, e->code);
    pack_string(out, e->message);
    pack_int(out, e->retry_after_ns);
    pack_double(out, e->rate);
    pack_int(out, e->burst);
    pack_int(out, e->duration_ns);
    pack_int(out, e->count);
    pack_int(out, (int64_t)e->reply);
    pack_int(out, (int64_t)e->lack);
    pack_int(out, (int64_t)e->wrong);
    pack_string(out, e->zone);
    pack_int(out, (int64_t)e->outage);
}

static void unpack_effect(struct fault_effect *e, struct unpacker *in)
{
    e->type = (enum fault_effect_type)unpack_enum(in, FAULT_EFFECT_TYPES);
    e->delay.kind = (enum distribution_kind)unpack_enum(in, DISTRIBUTION_LOGNORMAL + 1);
    e->delay.a = unpack_int(in);
    e->delay.b = unpack_int(in);
    e->clock = (enum fault_clock)unpack_enum(in, FAULT_CLOCK_CLOUD + 1);
    e->status = (int)unpack_int(in);
    e->code = unpack_string(in);
    e->message = unpack_string(in);
    e->retry_after_ns = unpack_int(in);
    e->rate = unpack_double(in);
    e->burst = (int)unpack_int(in);
    e->duration_ns = unpack_int(in);
    e->count = unpack_int(in);
    e->reply = (enum fault_reply)unpack_enum(in, FAULT_REPLY_SILENCE + 1);
    e->lack = (enum fault_lack)unpack_enum(in, FAULT_LACK_QUOTA + 1);
    e->wrong = (enum fault_wrong)unpack_enum(in, FAULT_WRONG_CLOCK_SKEW + 1);
    e->zone = unpack_string(in);
    e->outage = (enum fault_outage)unpack_enum(in, FAULT_OUTAGE_KEEP + 1);
}

static void pack_fault(const struct resource *r, struct buffer *out)
{
    const struct fault *f = (const struct fault *)r;

    pack_match(&f->match, out);
    pack_when(&f->when, out);
    pack_effect(&f->effect, out);
    pack_int(out, f->counts.matched);
    pack_int(out, f->counts.fired);
    pack_int(out, f->counts.last_fired_ns);
    pack_int(out, f->off);
}

static void unpack_fault(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct fault *f = (struct fault *)r;

    unpack_match(&f->match, in, arena);
    unpack_when(&f->when, in);
    unpack_effect(&f->effect, in);
    f->counts.matched = unpack_int(in);
    f->counts.fired = unpack_int(in);
    f->counts.last_fired_ns = unpack_int(in);
    f->off = in->version >= 3 && unpack_int(in) != 0;
}

// --- document ---

static void field_text(struct json_writer *w, const char *key, const char *value)
{
    if (value != NULL) {
        jw_field_string(w, key, value);
    }
}

static void field_number(struct json_writer *w, const char *key, int64_t value)
{
    if (value != 0) {
        jw_field_int(w, key, value);
    }
}

static void field_double(struct json_writer *w, const char *key, double value)
{
    jw_key(w, key);
    jw_double(w, value);
}

static void field_duration(struct json_writer *w, const char *key, int64_t ns)
{
    char text[DURATION_TEXT_MAX + 1] = "-";

    if (ns != 0) {
        duration_format(ns < 0 ? -ns : ns, text + 1);
        jw_field_string(w, key, ns < 0 ? text : text + 1);
    }
}

static void encode_resource(const struct fault_selector *s, struct json_writer *w)
{
    jw_key(w, "resource");
    jw_object_begin(w);
    field_text(w, "kind", s->kind < 0 ? NULL : kind_name((enum kind)s->kind));
    field_text(w, "id", s->id);
    field_text(w, "name", s->name);
    field_text(w, "zone", s->zone);
    field_text(w, "type", s->type);
    field_text(w, "state", s->state);
    if (s->tag_count > 0) {
        jw_key(w, "tags");
        jw_object_begin(w);
        for (size_t i = 0; i < s->tag_count; i++) {
            jw_field_string(w, s->tags[i].key, s->tags[i].value);
        }
        jw_object_end(w);
    }
    jw_object_end(w);
}

static void encode_match(const struct fault *f, struct json_writer *w)
{
    const struct fault_match *m = &f->match;

    jw_key(w, "match");
    jw_object_begin(w);
    jw_key(w, "operations");
    jw_array_begin(w);
    for (size_t i = 0; i < m->operation_count; i++) {
        jw_string(w, m->operations[i]);
    }
    jw_array_end(w);
    field_text(w, "project", f->r.project_name);
    if (m->has_resource) {
        encode_resource(&m->resource, w);
    }
    if (m->scope >= 0 || m->user_agent != NULL) {
        jw_key(w, "caller");
        jw_object_begin(w);
        field_text(w, "scope", m->scope < 0 ? NULL : scope_names[m->scope]);
        field_text(w, "user_agent", m->user_agent);
        jw_object_end(w);
    }
    jw_object_end(w);
}

static void encode_when(const struct fault_when *when, struct json_writer *w)
{
    jw_key(w, "when");
    jw_object_begin(w);
    if (when->from_ns != 0) {
        jw_field_time(w, "from", when->from_ns);
    }
    if (when->until_ns != 0) {
        jw_field_time(w, "until", when->until_ns);
    }
    field_number(w, "after", when->after);
    field_number(w, "first", when->first);
    field_number(w, "every", when->every);
    if (when->probability < 1) {
        field_double(w, "probability", when->probability);
    }
    field_number(w, "times", when->times);
    jw_object_end(w);
}

static void encode_problem(const struct fault_effect *e, struct json_writer *w)
{
    field_number(w, "status", e->status);
    field_text(w, "code", e->code);
    field_text(w, "message", e->message);
    field_duration(w, "retry_after", e->retry_after_ns);
}

// What the effects have in their objects.
static void encode_details(const struct fault_effect *e, struct json_writer *w)
{
    switch (e->type) {
    case FAULT_LATENCY:
        encode_distribution(&e->delay, w);
        jw_field_string(w, "clock", fault_clock_names[e->clock]);
        break;
    case FAULT_ERROR:
        encode_problem(e, w);
        break;
    case FAULT_THROTTLE:
        field_double(w, "rate", e->rate);
        jw_field_int(w, "burst", e->burst);
        jw_field_string(w, "clock", fault_clock_names[e->clock]);
        break;
    case FAULT_HANG:
        field_duration(w, "at_most", e->duration_ns);
        jw_field_string(w, "clock", fault_clock_names[e->clock]);
        break;
    case FAULT_TRUNCATE:
        field_number(w, "bytes", e->count);
        break;
    case FAULT_HALF_APPLIED:
        jw_field_string(w, "reply", fault_reply_names[e->reply]);
        encode_problem(e, w);
        field_duration(w, "at_most", e->duration_ns);
        break;
    case FAULT_STALE_READ:
        field_number(w, "revisions", e->count);
        field_duration(w, "lag", e->duration_ns);
        break;
    case FAULT_HIDE_NEW:
    case FAULT_STUCK_TRANSITION:
        field_duration(w, "for", e->duration_ns);
        break;
    case FAULT_WRONG_ANSWER:
        jw_field_string(w, "what", fault_wrong_names[e->wrong]);
        field_duration(w, "skew", e->duration_ns);
        break;
    case FAULT_EXHAUSTED:
        jw_field_string(w, "what", fault_lack_names[e->lack]);
        field_text(w, "message", e->message);
        break;
    case FAULT_ZONE_OUTAGE:
        jw_field_string(w, "zone", e->zone);
        jw_field_string(w, "instances", fault_outage_names[e->outage]);
        break;
    case FAULT_FAILED_TRANSITION:
        encode_problem(e, w);
        break;
    case FAULT_STREAM_LAG:
        field_duration(w, "by", e->duration_ns);
        break;
    case FAULT_RESET:
    case FAULT_REORDER:
    case FAULT_STREAM_CUT:
    case FAULT_STREAM_DUPLICATE:
    case FAULT_EFFECT_TYPES:
        break;
    }
}

static void encode_effect(const struct fault_effect *e, struct json_writer *w)
{
    jw_key(w, "effect");
    jw_object_begin(w);
    jw_key(w, fault_effect_names[e->type]);
    jw_object_begin(w);
    encode_details(e, w);
    jw_object_end(w);
    jw_object_end(w);
}

void fault_encode_counts(int64_t times, const struct fault_counts *counts, struct json_writer *w)
{
    jw_object_begin(w);
    jw_field_int(w, "matched", counts->matched);
    jw_field_int(w, "fired", counts->fired);
    if (times != 0) {
        jw_field_int(w, "remaining", times > counts->fired ? times - counts->fired : 0);
    }
    if (counts->last_fired_ns != 0) {
        jw_field_time(w, "last_fired_at", counts->last_fired_ns);
    }
    jw_object_end(w);
}

static void encode_fault(const struct resource *r, struct json_writer *w)
{
    const struct fault *f = (const struct fault *)r;

    jw_object_begin(w);
    encode_head(r, w);
    jw_key(w, "enabled");
    jw_bool(w, !f->off);
    encode_match(f, w);
    encode_when(&f->when, w);
    encode_effect(&f->effect, w);
    jw_key(w, "stats");
    fault_encode_counts(f->when.times, &f->counts, w);
    jw_field_time(w, "created_at", r->created_ns);
    jw_field_time(w, "updated_at", r->updated_ns);
    jw_field_int(w, "revision", r->revision);
    jw_object_end(w);
}

const struct kind_ops fault_kind = {
    .kind = KIND_FAULT,
    .size = sizeof(struct fault),
    .id_prefix = "flt",
    .pack = pack_fault,
    .unpack = unpack_fault,
    .encode = encode_fault,
    .due = fault_due,
    .remove = fault_remove,
};
