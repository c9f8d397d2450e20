#include "tests/simulation/disk.h"

#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "unix-excl" // what store/statement.c opens with
#define BLOCK 4096
#define SECTOR 512

// --- what is not synced: of each file, the blocks as they were at its last sync, and the writes
// ---

struct block {
    int64_t at;
    int length; // of the file's bytes in it
    unsigned char bytes[BLOCK];
};

struct write_kept {
    int64_t at;
    int length;
    unsigned char *bytes;
};

struct memory { // of one file, by name: it outlives the handle
    char *path;
    int64_t synced_size;
    struct block **blocks;
    struct write_kept *writes;
    size_t block_count, block_capacity, write_count, write_capacity;
    struct memory *next;
};

struct disk {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    bool remembers;
    enum disk_trouble ordered, now;
    int64_t calls_left;
    int system_errno;
    bool hit;
    struct disk_figures figures;
    struct memory *memories;
};

struct file {
    sqlite3_file base;
    struct memory *memory; // NULL: nothing is remembered of it
    sqlite3_file real;     // and more behind it
};

static struct disk disk; // SQLite has one list of VFSs per process

static sqlite3_file *real_of(sqlite3_file *file)
{
    return &((struct file *)(void *)file)->real;
}

static void *grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? 2 * *capacity : 64;
    items = realloc(items, *capacity * size);
    if (!items)
        abort();
    return items;
}

static void *copy(const void *bytes, size_t length)
{
    void *made = malloc(length ? length : 1);

    if (!made)
        abort();
    return memcpy(made, bytes, length);
}

static int64_t size_of(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? status.st_size : 0;
}

static struct memory *memory_of(const char *path)
{
    struct memory *m = disk.memories;

    while (m && strcmp(m->path, path) != 0)
        m = m->next;
    if (m)
        return m;
    m = calloc(1, sizeof(*m));
    if (!m)
        abort();
    m->path = copy(path, strlen(path) + 1);
    m->synced_size = size_of(path);
    m->next = disk.memories;
    disk.memories = m;
    return m;
}

static void forget(struct memory *m)
{
    for (size_t i = 0; i < m->block_count; i++)
        free(m->blocks[i]);
    for (size_t i = 0; i < m->write_count; i++)
        free(m->writes[i].bytes);
    m->block_count = m->write_count = 0;
}

static void forget_all(void)
{
    while (disk.memories) {
        struct memory *m = disk.memories;

        disk.memories = m->next;
        forget(m);
        free(m->blocks);
        free(m->writes);
        free(m->path);
        free(m);
    }
}

// Keeps the blocks of [from, to) as they are now, unless they have been changed since the last
// sync.
static void keep_blocks(struct memory *m, sqlite3_file *real, int64_t from, int64_t to)
{
    sqlite3_int64 size = 0;

    real->pMethods->xFileSize(real, &size);
    for (int64_t at = from / BLOCK * BLOCK; at < to; at += BLOCK) {
        struct block *block;
        size_t i = 0;

        while (i < m->block_count && m->blocks[i]->at != at)
            i++;
        if (i < m->block_count || at >= size)
            continue;
        block = malloc(sizeof(*block));
        if (!block)
            abort();
        block->at = at;
        block->length = size - at < BLOCK ? (int)(size - at) : BLOCK;
        if (real->pMethods->xRead(real, block->bytes, block->length, at) != SQLITE_OK)
            abort();
        m->blocks = grow(m->blocks, m->block_count, &m->block_capacity, sizeof(struct block *));
        m->blocks[m->block_count++] = block;
    }
}

static void keep_write(struct memory *m, const void *bytes, int length, int64_t at)
{
    m->writes = grow(m->writes, m->write_count, &m->write_capacity, sizeof(*m->writes));
    m->writes[m->write_count++] =
        (struct write_kept){.at = at, .length = length, .bytes = copy(bytes, (size_t)length)};
}

static void write_at(int fd, const void *bytes, size_t length, int64_t at)
{
    if (pwrite(fd, bytes, length, at) != (ssize_t)length)
        abort();
}

// Of one kept write: all, nothing, or its first sectors.
static void replay(int fd, const struct write_kept *w, uint64_t draw)
{
    int length = w->length;

    if (draw % 4 == 0) {
        disk.figures.lost++;
        return;
    }
    if (draw % 4 == 1 && length > SECTOR) {
        length = (int)(draw / 4 % (uint64_t)(length / SECTOR)) * SECTOR;
        disk.figures.torn++;
    }
    write_at(fd, w->bytes, (size_t)length, w->at);
}

static void cut_power(struct memory *m, uint64_t seed)
{
    int fd = open(m->path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return; // deleted
    if (ftruncate(fd, m->synced_size) < 0)
        abort();
    for (size_t i = 0; i < m->block_count; i++)
        write_at(fd, m->blocks[i]->bytes, (size_t)m->blocks[i]->length, m->blocks[i]->at);
    for (size_t i = 0; i < m->write_count; i++)
        replay(fd, &m->writes[i], random_u64(seed, (int64_t)i, 7));
    close(fd);
}

// --- troubles ---

// Counts a call that changes something: 0, or the result code with which it fails.
static int changes(int failing)
{
    if (disk.now == DISK_FINE && disk.ordered != DISK_FINE && disk.calls_left-- == 0) {
        disk.now = disk.ordered;
        disk.ordered = DISK_FINE;
        disk.hit = true;
        disk.figures.troubles++;
    }
    if (disk.now == DISK_FINE) {
        disk.figures.calls++;
        return SQLITE_OK;
    }
    if (disk.now == DISK_FAILS_ONCE)
        disk.now = DISK_FINE;
    return disk.system_errno == ENOSPC ? SQLITE_FULL : failing;
}

static bool is_down(void)
{
    return disk.now == DISK_STOPS;
}

// --- methods of a file ---

static int x_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int x_read(sqlite3_file *f, void *out, int length, sqlite3_int64 at)
{
    return is_down() ? SQLITE_IOERR_READ : real_of(f)->pMethods->xRead(real_of(f), out, length, at);
}

static int put(sqlite3_file *f, const void *bytes, int length, sqlite3_int64 at)
{
    struct memory *m = ((struct file *)(void *)f)->memory;

    if (m) {
        keep_blocks(m, real_of(f), at, at + length);
        keep_write(m, bytes, length, at);
    }
    return real_of(f)->pMethods->xWrite(real_of(f), bytes, length, at);
}

// A write that fails, or in which the process dies, may have been done by half.
static int x_write(sqlite3_file *f, const void *bytes, int length, sqlite3_int64 at)
{
    bool was_down = is_down();
    int rc = changes(SQLITE_IOERR_WRITE);

    if (rc == SQLITE_OK)
        return put(f, bytes, length, at);
    if (!was_down && length > 1)
        put(f, bytes, length / 2, at);
    return rc;
}

static int x_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct memory *m = ((struct file *)(void *)f)->memory;
    sqlite3_int64 now = 0;
    int rc = changes(SQLITE_IOERR_TRUNCATE);

    if (rc != SQLITE_OK)
        return rc;
    real_of(f)->pMethods->xFileSize(real_of(f), &now);
    if (m && size < now)
        keep_blocks(m, real_of(f), size, now);
    return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int x_sync(sqlite3_file *f, int flags)
{
    struct memory *m = ((struct file *)(void *)f)->memory;
    int rc = changes(SQLITE_IOERR_FSYNC);

    if (rc != SQLITE_OK)
        return rc;
    rc = real_of(f)->pMethods->xSync(real_of(f), flags);
    if (rc == SQLITE_OK && m) {
        sqlite3_int64 size = 0;
        real_of(f)->pMethods->xFileSize(real_of(f), &size);
        m->synced_size = size;
        forget(m);
    }
    return rc;
}

static int x_file_size(sqlite3_file *f, sqlite3_int64 *out)
{
    return is_down() ? SQLITE_IOERR_FSTAT : real_of(f)->pMethods->xFileSize(real_of(f), out);
}

static int x_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int x_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int x_check_reserved_lock(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int x_file_control(sqlite3_file *f, int operation, void *argument)
{
    if (operation == SQLITE_FCNTL_LAST_ERRNO && disk.hit) {
        *(int *)argument = disk.system_errno;
        return SQLITE_OK;
    }
    return real_of(f)->pMethods->xFileControl(real_of(f), operation, argument);
}

static int x_sector_size(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

// Nothing that the real disk promises beyond the least: a torn write stays a torn write.
static int x_device_characteristics(sqlite3_file *f)
{
    (void)f;
    return SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN;
}

static int x_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    int rc = extend ? changes(SQLITE_IOERR_SHMMAP) : is_down() ? SQLITE_IOERR_SHMMAP : SQLITE_OK;

    if (rc != SQLITE_OK) {
        *out = NULL;
        return rc == SQLITE_FULL ? SQLITE_IOERR_SHMSIZE : rc;
    }
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int x_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void x_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int x_shm_unmap(sqlite3_file *f, int delete_it)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), delete_it);
}

static int x_fetch(sqlite3_file *f, sqlite3_int64 at, int length, void **out)
{
    return real_of(f)->pMethods->xFetch(real_of(f), at, length, out);
}

static int x_unfetch(sqlite3_file *f, sqlite3_int64 at, void *page)
{
    return real_of(f)->pMethods->xUnfetch(real_of(f), at, page);
}

static const sqlite3_io_methods methods = {
    .iVersion = 3,
    .xClose = x_close,
    .xRead = x_read,
    .xWrite = x_write,
    .xTruncate = x_truncate,
    .xSync = x_sync,
    .xFileSize = x_file_size,
    .xLock = x_lock,
    .xUnlock = x_unlock,
    .xCheckReservedLock = x_check_reserved_lock,
    .xFileControl = x_file_control,
    .xSectorSize = x_sector_size,
    .xDeviceCharacteristics = x_device_characteristics,
    .xShmMap = x_shm_map,
    .xShmLock = x_shm_lock,
    .xShmBarrier = x_shm_barrier,
    .xShmUnmap = x_shm_unmap,
    .xFetch = x_fetch,
    .xUnfetch = x_unfetch,
};

// --- methods of the VFS ---

static int x_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f, int flags, int *out_flags)
{
    struct file *file = (struct file *)(void *)f;
    int rc;

    (void)v;
    file->base.pMethods = NULL;
    file->memory = NULL;
    if (is_down())
        return SQLITE_CANTOPEN;
    rc = disk.real->xOpen(disk.real, name, &file->real, flags, out_flags);
    if (rc != SQLITE_OK)
        return rc;
    file->base.pMethods = &methods;
    if (name && disk.remembers && flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL))
        file->memory = memory_of(name);
    return SQLITE_OK;
}

static int x_delete(sqlite3_vfs *v, const char *name, int sync_directory)
{
    int rc = changes(SQLITE_IOERR_DELETE);

    (void)v;
    return rc != SQLITE_OK ? rc : disk.real->xDelete(disk.real, name, sync_directory);
}

static int x_get_last_error(sqlite3_vfs *v, int size, char *out)
{
    (void)v;
    return disk.hit ? disk.system_errno : disk.real->xGetLastError(disk.real, size, out);
}

void disk_install(bool remembers)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); // as store/ does, for which it is too late then
    disk.real = sqlite3_vfs_find(NAME);
    if (!disk.real || disk.real == &disk.vfs)
        abort();
    disk.vfs = *disk.real; // what is not replaced takes any sqlite3_vfs: it does not look at it
    disk.vfs.szOsFile = (int)sizeof(struct file) + disk.real->szOsFile;
    disk.vfs.xOpen = x_open;
    disk.vfs.xDelete = x_delete;
    disk.vfs.xGetLastError = x_get_last_error;
    disk.remembers = remembers;
    if (sqlite3_vfs_register(&disk.vfs, 1) != SQLITE_OK) // as the default one: first in the list
        abort();
}

void disk_order(enum disk_trouble trouble, int64_t calls, int system_errno)
{
    disk.ordered = trouble;
    disk.calls_left = calls;
    disk.system_errno = system_errno;
    disk.hit = false;
}

bool disk_was_hit(void)
{
    return disk.hit;
}

bool disk_is_stopped(void)
{
    return is_down();
}

void disk_heal(void)
{
    disk.ordered = DISK_FINE;
    disk.hit = false;
    if (disk.now != DISK_STOPS)
        disk.now = DISK_FINE;
}

void disk_restart(bool power_cut, uint64_t seed)
{
    for (struct memory *m = disk.memories; power_cut && m; m = m->next)
        cut_power(m, random_u64(seed, m->synced_size, 1));
    forget_all();
    disk.ordered = disk.now = DISK_FINE;
    disk.hit = false;
}

struct disk_figures disk_figures(void)
{
    return disk.figures;
}
