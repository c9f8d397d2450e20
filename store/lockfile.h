// Who has the database: flock() on `<db>.lock`, which holds pid and address of the holder; and the
// private directories of databases that live as long as their server. Internal to store/.
#ifndef STORE_LOCKFILE_H
#define STORE_LOCKFILE_H

#include "base/error.h"

#define LOCKFILE_SUFFIX ".lock"

struct lockfile {
    int fd; // -1: not held
    char *path;
};

// ERROR_IN_USE names pid and address of the holder.
int lockfile_take(struct lockfile *lock, const char *database, const char *address,
                  struct error *err);
void lockfile_write(struct lockfile *lock, const char *address);
void lockfile_release(struct lockfile *lock); // removes the file

// Makes a fresh 0700 directory below /dev/shm, else the temporary folder (malloc'd, caller frees),
// after removing those that dead servers left there.
int private_directory_make(char **out, struct error *err);
void private_remove_leftovers(const char *parent); // of dead servers
void private_directory_remove(const char *directory);
#define PRIVATE_DATABASE "mockcloud.db" // its name in there

// Files beside a database that are needed for a while: <db>.scratch-<n>. Whoever holds the lock
// removes what a dead server left.
#define SCRATCH_SUFFIX ".scratch-"
void scratch_remove_leftovers(const char *database);

#endif
