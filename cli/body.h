// Request bodies out of flags and operands.
#ifndef CLI_BODY_H
#define CLI_BODY_H

#include "cli/args.h"
#include "cli/http.h"

#include <jansson.h>

// The fields that the flags of the command set, as an object; the caller owns it. Names of pools,
// instances and addresses are looked up. With `patch`, tags merge.
int body_build(struct http *h, const struct command *c, json_t **out, struct failure *f);
// `what` names the flag or operand in the error.
int body_listener(struct http *h, const char *what, const char *spec, json_t **out,
                  struct failure *f);
int body_target(struct http *h, const char *what, const char *text, json_t **out,
                struct failure *f);
// Sets a field of the body ("effect.error.status"), making the objects on the way; takes `value`.
void body_set(json_t *body, const char *field, json_t *value);
// DURATION, MIN..MAX, normal:MEAN:STDDEV or lognormal:MEAN:STDDEV; errors call it `name`.
int body_distribution(const char *name, const char *shape, json_t **out, struct failure *f);

#endif
