// What `mockcloud serve --help` says, for completion and the man page.
#ifndef CLI_SERVER_HELP_H
#define CLI_SERVER_HELP_H

char *server_help(void); // the caller frees; NULL: out of memory

#endif
