// Waiting for a condition on a resource by its events.
#ifndef CLI_WAIT_H
#define CLI_WAIT_H

#include "cli/http.h"
#include "cli/spec.h"

#include <jansson.h>
#include <stdint.h>

// Whether `condition` is well-formed for this kind: alternatives separated by '|', each `deleted`,
// `exists`, `tag.KEY=VALUE` or `FIELD=VALUE[,VALUE]`.
int wait_check(const struct kind *kind, const char *condition, struct failure *f);
// Whether a document meets it; `there` is false once the resource is gone (the document its last,
// or NULL).
bool wait_met(const char *condition, const json_t *document, bool there);
// Waits until the resource `ref` (name or id) meets the condition. *out_document is its document
// then (owned; NULL when it was never seen); may be NULL.
int wait_for(struct http *h, const struct kind *kind, const char *ref, const char *condition,
             int64_t deadline_ns, json_t **out_document, struct failure *f);

#endif
