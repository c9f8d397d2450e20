// Why a command failed: its exit code and one line for people. First failure wins.
#ifndef CLI_FAILURE_H
#define CLI_FAILURE_H

// X(enum, number, meaning): part of the command's contract, printed by help and the man page.
#define EXIT_CODES(X)                                                                      \
    X(EXIT_OK, 0, "done")                                                                  \
    X(EXIT_REFUSED, 1, "the server refused or failed, or the output could not be written") \
    X(EXIT_USAGE, 2, "wrong verb, flag, value or local file; nothing was changed")         \
    X(EXIT_NOT_FOUND, 3, "no such resource")                                               \
    X(EXIT_TIMEOUT, 4, "timed out, or the wait expired")                                   \
    X(EXIT_UNREACHABLE, 5, "cannot reach the server, or the connection was lost")          \
    X(EXIT_CONFLICT, 6, "conflict: exists, in use, wrong state, precondition failed")      \
    X(EXIT_DENIED, 7, "token missing, unknown or without the needed scope")

enum exit_code {
#define X(name, number, meaning) name = number,
    EXIT_CODES(X)
#undef X
};

struct failure {
    enum exit_code code;
    char message[1024];
};

// Records the failure unless one is there already; returns `code`, so that
// `return fail(f, EXIT_USAGE, "…")` reads as one step.
int fail(struct failure *f, enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
