// Reserved addresses: they outlive the load balancers that use them.
#include "sim/names.h"
#include "sim/operation.h"
#include "sim/pack.h"

// --- record ---

static void pack(const struct resource *r, struct buffer *out)
{
    const struct address *a = (const struct address *)r;

    pack_int(out, a->scheme);
    pack_ip(out, &a->ip);
    pack_string(out, a->load_balancer_id);
}

static void unpack(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct address *a = (struct address *)r;

    (void)arena;
    a->scheme = (enum scheme)unpack_enum(in, SCHEME_INTERNAL + 1);
    a->ip = unpack_ip(in);
    a->load_balancer_id = unpack_string(in);
}

static void encode(const struct resource *r, struct json_writer *w)
{
    const struct address *a = (const struct address *)r;
    char text[IP_TEXT_MAX];

    ip_format(&a->ip, text);
    jw_object_begin(w);
    encode_head(r, w);
    jw_field_string(w, "family", ip_family_name(a->ip.family));
    jw_field_string(w, "scheme", scheme_names[a->scheme]);
    jw_field_string(w, "address", text);
    if (a->load_balancer_id)
        jw_field_string(w, "load_balancer_id", a->load_balancer_id);
    encode_tail(r, w);
    jw_object_end(w);
}

static int address_remove(struct txn *t, struct resource *r, struct error *err)
{
    int rc = txn_ip_release(t, &((struct address *)r)->ip, r->id, err);

    return rc < 0 ? rc : txn_delete(t, r, err);
}

const struct kind_ops address_kind = {
    .kind = KIND_ADDRESS,
    .size = sizeof(struct address),
    .id_prefix = "addr",
    .pack = pack,
    .unpack = unpack,
    .encode = encode,
    .remove = address_remove,
};

// --- operations ---

static int claim(struct txn *t, struct address *a, const struct address_spec_reserved *spec,
                 enum pool pool, struct error *err)
{
    const struct cidr *cidr = txn_pool_cidr(t, pool);
    char text[IP_TEXT_MAX], block[CIDR_TEXT_MAX];

    ip_format(&spec->ip, text);
    if (spec->family && spec->ip.family != spec->family)
        return error_set(err, ERROR_INVALID, "address", "%s is not of family %s", text,
                         ip_family_name(spec->family));
    if (!cidr || !cidr_contains(cidr, &spec->ip)) {
        if (cidr)
            cidr_format(cidr, block);
        return error_set(err, ERROR_INVALID, "address",
                         "%s is not in the load balancer address pool%s%s", text, cidr ? " " : "",
                         cidr ? block : "");
    }
    a->ip = spec->ip;
    return txn_ip_claim(t, &a->ip, a->r.id, "address", err);
}

// The given address, or the next free one.
static int assign(struct txn *t, struct address *a, const struct address_spec_reserved *spec,
                  struct error *err)
{
    enum ip_family family = spec->has_ip ? spec->ip.family : spec->family;
    enum pool pool = family == IP_V6 ? POOL_LB_V6 : POOL_LB_V4;

    if (spec->has_ip)
        return claim(t, a, spec, pool, err);
    return txn_ip_allocate(t, pool, a->r.id, &a->ip, err);
}

int address_create(struct txn *t, struct change *c, struct error *err)
{
    const struct address_spec_reserved *spec = &c->request.address;
    struct address *a = (struct address *)txn_new(t, KIND_ADDRESS, true, NULL);
    int rc;

    a->scheme = spec->scheme;
    rc = operation_head(t, &a->r, spec->name, 0, &spec->tags, err);
    if (rc == 0)
        rc = assign(t, a, spec, err);
    if (rc == 0)
        rc = txn_put(t, &a->r, err);
    if (rc == 0)
        change_answer(t, c, &a->r);
    return rc;
}

int address_update(struct txn *t, struct change *c, struct error *err)
{
    const struct address_spec_reserved *spec = &c->request.address;
    struct resource *r;
    bool changed = false;
    int rc = operation_load(t, c, KIND_ADDRESS, &r, err);

    if (rc == 0)
        rc = operation_patch_head(t, r, spec->name, 0, &spec->tags, &changed, err);
    if (rc == 0 && changed)
        rc = txn_put(t, r, err);
    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}

int address_delete(struct txn *t, struct change *c, struct error *err)
{
    struct address *a;
    struct resource *r;
    int rc = operation_load(t, c, KIND_ADDRESS, &r, err);

    if (rc < 0)
        return rc;
    a = (struct address *)r;
    if (a->load_balancer_id)
        return error_set(err, ERROR_IN_USE, NULL, "address %s is used by load balancer %s", r->id,
                         a->load_balancer_id);
    return address_remove(t, r, err);
}
