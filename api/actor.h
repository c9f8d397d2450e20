// Applies operations of the API for scenarios (sim/actor.h): through the table of endpoints and the
// same handlers as a request, so that a new endpoint needs nothing here.
#ifndef API_ACTOR_H
#define API_ACTOR_H

#include "api/endpoint.h"
#include "sim/actor.h"

extern const struct actor api_actor; // for cloud_config.actor

// The endpoint of an operation id; NULL: there is none.
const struct endpoint *endpoint_find(const char *operation);
// Whether it can be an action: it changes something, and is not about scenarios themselves.
bool endpoint_is_action(const struct endpoint *endpoint);
// Whether it is a merge patch of a fault rule, which can be taken back.
bool endpoint_patches_rule(const struct endpoint *endpoint);
size_t endpoint_parameters(const struct endpoint *endpoint); // of its path

#endif
