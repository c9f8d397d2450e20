// The file with the server's token, which the CLI reads too.
#include "api/auth.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LENGTH 4096
#define TOKEN_LENGTH 64

static int default_path(char out[PATH_LENGTH], struct error *err)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (config && *config == '/')
        snprintf(out, PATH_LENGTH, "%s/mockcloud/token", config);
    else if (home && *home)
        snprintf(out, PATH_LENGTH, "%s/.config/mockcloud/token", home);
    else
        return error_set(err, ERROR_INVALID, "--token-file",
                         "is needed: neither HOME nor XDG_CONFIG_HOME is set");
    return 0;
}

static int fail(const char *path, const char *what, struct error *err)
{
    return error_set(err, ERROR_INVALID, NULL, "token file %s: %s", path, what);
}

// Makes the directories above the file, those that are missing with mode 0700.
static int make_directories(const char *path, struct error *err)
{
    char directory[PATH_LENGTH];

    snprintf(directory, sizeof(directory), "%s", path);
    for (char *slash = strchr(directory + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
            return fail(path, strerror(errno), err);
        *slash = '/';
    }
    return 0;
}

// Visible ASCII only, in one line.
static int read_token(const char *path, int fd, char out[TOKEN_FILE_MAX], struct error *err)
{
    ssize_t length = read(fd, out, TOKEN_FILE_MAX - 1);

    if (length < 0)
        return fail(path, strerror(errno), err);
    while (length > 0 && (out[length - 1] == '\n' || out[length - 1] == '\r'))
        length--;
    out[length] = '\0';
    if (length == 0)
        return fail(path, "is empty", err);
    for (ssize_t i = 0; i < length; i++)
        if (out[i] <= ' ' || out[i] > '~')
            return fail(path, "must hold one token of visible ASCII characters", err);
    return length == TOKEN_FILE_MAX - 1 ? fail(path, "holds a token that is too long", err) : 0;
}

static int load_existing(const char *path, int fd, char out[TOKEN_FILE_MAX], struct error *err)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return fail(path, strerror(errno), err);
    if (!S_ISREG(status.st_mode))
        return fail(path, "is not a regular file", err);
    if (status.st_mode & 077)
        return fail(path, "others may read or write it; run chmod 600 on it", err);
    return read_token(path, fd, out, err);
}

// Under a name of its own, then renamed: a second server that starts meanwhile finds all or
// nothing.
static int create(const char *path, char out[TOKEN_FILE_MAX], struct error *err)
{
    char temporary[PATH_LENGTH + 16];
    int fd, result;

    result = secret_make(out, TOKEN_LENGTH + 1, err);
    if (result < 0 || make_directories(path, err) < 0)
        return result < 0 ? result : -ERROR_INVALID;
    snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    fd = mkstemp(temporary); // mode 0600
    if (fd < 0)
        return fail(path, strerror(errno), err);
    if (dprintf(fd, "%s\n", out) < 0 || close(fd) < 0 || link(temporary, path) < 0) {
        result = errno == EEXIST ? 1 : fail(path, strerror(errno), err);
    }
    unlink(temporary);
    return result;
}

int token_file_load(const char *path, char out[TOKEN_FILE_MAX], struct error *err)
{
    char standard[PATH_LENGTH];
    int result = 1;

    if (!path) {
        if (default_path(standard, err) < 0)
            return -ERROR_INVALID;
        path = standard;
    }
    while (result == 1) { // somebody else may make it between our looking and making
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd >= 0) {
            result = load_existing(path, fd, out, err);
            close(fd);
        } else if (errno == ENOENT) {
            result = create(path, out, err);
        } else {
            result = fail(path, strerror(errno), err);
        }
    }
    return result;
}
