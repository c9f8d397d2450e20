// What the server says of itself to completion and the man page.
#ifndef CLI_SERVER_HELP_H
#define CLI_SERVER_HELP_H

#include <stdbool.h>
#include <stddef.h>

char *server_help(void); // of `mockcloud serve --help`; the caller frees; NULL: out of memory
// The ids of its operations, from 0; NULL: there are no more. *out_faulty: whether faults can
// happen to it.
const char *server_operation(size_t index, bool *out_faulty);
const char *server_transition(size_t index); // the timed ones; NULL: there are no more

#endif
