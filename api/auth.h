// Who may call, and from where.
#ifndef API_AUTH_H
#define API_AUTH_H

#include "api/request.h"

// A name, IPv4 address or bracketed IPv6 address with an optional port: the Host header and the
// authority of an Origin. `allowed` ends with NULL; names are compared in any case, the port is
// free: only the name tells a page that had its own name resolve to us.
bool host_allowed(const char *host, const char *const *allowed);
// An Origin is ours when its host is allowed and its port is that of the Host header.
bool origin_allowed(const char *origin, const char *host, const char *const *allowed);

int auth_check_origin(const struct request *r, struct error *err); // Host and Origin headers
// Fills r->who, r->project and r->project_name. Public endpoints pass.
int auth_check_caller(struct request *r, struct error *err);

// Reads the token of the server, or makes it: file 0600, directories 0700. `path` NULL:
// ${XDG_CONFIG_HOME:-$HOME/.config}/mockcloud/token. Errors name the file. *out is at most
// TOKEN_FILE_MAX bytes with the NUL.
#define TOKEN_FILE_MAX 256
int token_file_load(const char *path, char out[TOKEN_FILE_MAX], struct error *err);

#endif
