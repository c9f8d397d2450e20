#include "store/lockfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_PREFIX "mockcloud-"

// --- the lock file ---

static int storage_error(struct error *err, const char *what, const char *path)
{
    int code = errno;

    return error_set(err, code == ENOENT || code == ENOTDIR ? ERROR_INVALID : ERROR_STORAGE, NULL,
                     "%s %s: %s", what, path, strerror(code));
}

static int in_use(int fd, const char *database, struct error *err)
{
    char text[200] = "", *address;
    ssize_t length = pread(fd, text, sizeof(text) - 1, 0);

    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    address = strchr(text, ' ');
    if (address)
        *address++ = '\0';
    if (text[0] == '\0')
        return error_set(err, ERROR_IN_USE, NULL, "database %s is in use", database);
    if (!address || !*address)
        return error_set(err, ERROR_IN_USE, NULL, "database %s is in use by pid %s", database,
                         text);
    return error_set(err, ERROR_IN_USE, NULL, "database %s is in use by pid %s (%s)", database,
                     text, address);
}

// The file may have been removed between open() and flock() by the holder that just ended.
static bool is_still_there(int fd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

static int take_once(const char *path, const char *database, int *out_fd, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = 0;

    if (fd < 0)
        return storage_error(err, "cannot open lock file", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        result = errno == EWOULDBLOCK ? in_use(fd, database, err)
                                      : storage_error(err, "cannot lock", path);
    } else if (is_still_there(fd, path)) {
        *out_fd = fd;
        return 1;
    }
    close(fd);
    return result;
}

int lockfile_take(struct lockfile *lock, const char *database, const char *address,
                  struct error *err)
{
    int result;

    lock->fd = -1;
    if (asprintf(&lock->path, "%s" LOCKFILE_SUFFIX, database) < 0) {
        lock->path = NULL;
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    while ((result = take_once(lock->path, database, &lock->fd, err)) == 0) {
    }
    if (result < 0) {
        free(lock->path);
        lock->path = NULL;
        return result;
    }
    lockfile_write(lock, address);
    return 0;
}

// What it says is for people; that it is locked is what counts. So a full disk is no error here.
void lockfile_write(struct lockfile *lock, const char *address)
{
    char text[200];
    int length =
        snprintf(text, sizeof(text), "%ld %.160s\n", (long)getpid(), address ? address : "");
    ssize_t written = pwrite(lock->fd, text, (size_t)length, 0);

    if (written >= 0 && ftruncate(lock->fd, written) < 0)
        return;
}

void lockfile_release(struct lockfile *lock)
{
    if (lock->fd >= 0) {
        unlink(lock->path);
        close(lock->fd);
    }
    free(lock->path);
    *lock = (struct lockfile){.fd = -1};
}

// --- private directories ---

// Takes the directory's descriptor.
static void remove_prefixed(int directory, const char *prefix)
{
    DIR *dir = fdopendir(directory);
    struct dirent *entry;

    if (!dir) {
        close(directory);
        return;
    }
    while ((entry = readdir(dir)))
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
}

// Beside the database lie its log, its lock and what was needed for a while.
static void remove_at(int parent, const char *name, int directory)
{
    int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (again >= 0)
        remove_prefixed(again, PRIVATE_DATABASE);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void scratch_remove_leftovers(const char *database)
{
    const char *slash = strrchr(database, '/');
    char *directory = slash ? strndup(database, (size_t)(slash - database) + 1) : strdup("."),
         *prefix;
    int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0 && asprintf(&prefix, "%s" SCRATCH_SUFFIX, slash ? slash + 1 : database) >= 0) {
        remove_prefixed(fd, prefix);
        free(prefix);
    } else if (fd >= 0) {
        close(fd);
    }
    free(directory);
}

// Dead when its process is gone and nobody holds its lock. Both, because a directory that is just
// being made has no lock yet, and because a process in a container may have the pid of its
// predecessor.
static bool is_dead(int directory, const char *name)
{
    long pid = strtol(name + strlen(DIRECTORY_PREFIX), NULL, 10);
    bool dead;
    int fd;

    if (pid <= 0 || (pid != getpid() && (kill((pid_t)pid, 0) == 0 || errno != ESRCH)))
        return false;
    fd = openat(directory, PRIVATE_DATABASE LOCKFILE_SUFFIX, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT && pid != getpid();
    dead = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return dead;
}

static void remove_if_dead(int parent, const char *name)
{
    int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;

    if (directory < 0)
        return;
    if (fstat(directory, &status) == 0 && status.st_uid == geteuid() && is_dead(directory, name))
        remove_at(parent, name, directory);
    close(directory);
}

// Only names of our own making: mockcloud-<pid>-XXXXXX.
static bool is_private_name(const char *name)
{
    const char *rest;
    size_t digits;

    if (strncmp(name, DIRECTORY_PREFIX, strlen(DIRECTORY_PREFIX)) != 0)
        return false;
    rest = name + strlen(DIRECTORY_PREFIX);
    digits = strspn(rest, "0123456789");
    return digits > 0 && rest[digits] == '-' && strlen(rest + digits) == 7;
}

void private_remove_leftovers(const char *parent)
{
    DIR *dir = opendir(parent);
    struct dirent *entry;

    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        if (is_private_name(entry->d_name))
            remove_if_dead(dirfd(dir), entry->d_name);
    }
    closedir(dir);
}

int private_directory_make(char **out, struct error *err)
{
    const char *temporary = getenv("TMPDIR");
    const char *parents[] = {"/dev/shm", temporary && *temporary ? temporary : "/tmp"};
    char *path = NULL;

    for (size_t i = 0; i < 2; i++) {
        private_remove_leftovers(parents[i]);
        if (asprintf(&path, "%s/" DIRECTORY_PREFIX "%ld-XXXXXX", parents[i], (long)getpid()) < 0)
            return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
        if (mkdtemp(path)) {
            *out = path;
            return 0;
        }
        free(path);
    }
    return storage_error(err, "cannot make a private directory in", parents[1]);
}

void private_directory_remove(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    remove_prefixed(fd, PRIVATE_DATABASE);
    rmdir(directory);
}
