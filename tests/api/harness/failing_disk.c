// Preloaded into a server: its disk fails on order. The file named by FAILING_DISK holds an errno
// (int32, 0: all is well); while it does, every call that changes a file by position or makes it
// durable fails with it. SQLite writes so and nothing else here does: the log and sockets are
// written otherwise.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int32_t *order;

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("FAILING_DISK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*order), PROT_READ, MAP_SHARED, fd, 0);

    order = at == MAP_FAILED ? NULL : at;
    if (fd >= 0)
        close(fd);
}

static int fails(void)
{
    int32_t now = order ? *order : 0;

    if (now != 0)
        errno = now;
    return now != 0;
}

#define REPLACE(type, name, parameters, arguments)     \
    type name parameters;                              \
    type name parameters                               \
    {                                                  \
        static type(*real) parameters;                 \
        if (fails())                                   \
            return -1;                                 \
        if (!real)                                     \
            *(void **)&real = dlsym(RTLD_NEXT, #name); \
        return real arguments;                         \
    }

REPLACE(ssize_t, pwrite, (int fd, const void *bytes, size_t length, off_t at),
        (fd, bytes, length, at))
REPLACE(ssize_t, pwrite64, (int fd, const void *bytes, size_t length, off64_t at),
        (fd, bytes, length, at))
REPLACE(int, ftruncate, (int fd, off_t size), (fd, size))
REPLACE(int, ftruncate64, (int fd, off64_t size), (fd, size))
REPLACE(int, fsync, (int fd), (fd))
REPLACE(int, fdatasync, (int fd), (fd))
