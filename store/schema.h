// The schema of the database file and how older ones become it. Internal to store/.
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "base/buffer.h"
#include "store/statement.h"

#define SCHEMA_APPLICATION_ID 0x6d636c64 // "mcld"

// Appends the SQL that turns version n (its position) into n + 1.
typedef void schema_migration(struct buffer *sql);

extern schema_migration *const schema_migrations[];
extern const int schema_version; // how many there are

// Refuses foreign and newer databases by name, then applies the missing migrations in order, all in
// one transaction.
int schema_migrate(struct connection *c, schema_migration *const *migrations, int count,
                   struct error *err);
// A cheap look at every table; a damaged or incomplete file is an error that names it.
int schema_probe(struct connection *c, struct error *err);

#endif
