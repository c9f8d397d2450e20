#include "sim/change.h"

#include "sim/txn.h"

#include <inttypes.h>
#include <stdlib.h>

struct change *change_new(change_apply *apply, const char *operation)
{
    struct change *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return NULL;
    }
    arena_init(&c->arena);
    buffer_init(&c->document);
    c->apply = apply;
    c->operation = operation;
    c->if_match_epoch = -1;
    return c;
}

void change_free(struct change *c)
{
    if (c == NULL) {
        return;
    }
    buffer_fini(&c->document);
    arena_fini(&c->arena);
    free(c);
}

int change_check_match(const struct change *c, const struct resource *r, struct error *err)
{
    if (c->if_match == 0 || c->if_match == r->revision) {
        return 0;
    }
    return error_set(err, ERROR_PRECONDITION, "If-Match", "%s %s is at revision %" PRId64,
                     kind_name(r->kind), r->id, r->revision);
}

void change_answer(struct txn *t, struct change *c, const struct resource *r)
{
    struct json_writer w;

    (void)t;
    if (c->document.length > 0) {
        buffer_append(&c->document, ",", 1);
    }
    jw_init(&w, &c->document);
    kind_ops_of(r->kind)->encode(r, &w);
    c->revision = r->revision;
    c->result_id = r->id;
}
