// Documents of resources, read back: what selectors and filters want to know of them. For the few
// that no column answers for (documents of the past), not for the common path.
#ifndef API_DOCUMENTS_H
#define API_DOCUMENTS_H

#include "api/query.h"
#include "sim/fault.h"

#include <jansson.h>

// NULL when there is none. The caller decref's it.
json_t *document_parse(struct bytes document);
// What is known of the resource; strings are the document's, the tags in the arena.
void document_target(const json_t *document, enum kind kind, struct arena *arena,
                     struct fault_target *out);
// Whether the filters of a list take it.
bool document_matches(const json_t *document, const struct query *query);
// Appends it, without white space, in the order it was read in.
int document_put(const json_t *document, struct buffer *out, struct error *err);

#endif
