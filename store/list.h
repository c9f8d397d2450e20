// From a list's filters to the statement that answers it. Internal to store/.
#ifndef STORE_LIST_H
#define STORE_LIST_H

#include "store/statement.h"

#define LIST_TAGS_MAX 50

// A statement with all values bound that gives (seq, document) in seq order, one more row than
// query->limit at most. The query's strings must live until it is reset.
int list_statement(struct connection *c, const struct list_query *query, sqlite3_stmt **out,
                   struct error *err);

#endif
