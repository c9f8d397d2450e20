// What all dialects read off an instance, and what they derive from it: numbers, GUIDs and
// addresses that our cloud does not have, as pure functions of ids, so that they never change.
#ifndef API_METADATA_VIEW_H
#define API_METADATA_VIEW_H

#include "sim/notice.h"

enum view_purpose { VIEW_NUMBER, VIEW_MAC, VIEW_INTERFACE, VIEW_ACCOUNT, VIEW_GUID, VIEW_IMAGE };

uint64_t view_hash(const char *text, enum view_purpose purpose);
// The first address of the type and family (0: any); NULL: none.
const char *view_address(const struct instance *i, enum address_type type, int family);
// The n-th (from 0) of them.
const char *view_address_at(const struct instance *i, enum address_type type, int family, size_t n);
const char *view_mac(struct arena *arena, const struct instance *i);
const char *view_guid(struct arena *arena, const char *text); // lower case
// Decimal numbers of fixed length.
const char *view_instance_number(struct arena *arena, const struct instance *i); // 19 digits
const char *view_project_number(struct arena *arena, const struct instance *i);  // 12 digits

// As strftime, UTC, whole seconds.
#define VIEW_ISO "%Y-%m-%dT%H:%M:%SZ"
#define VIEW_EC2 "%-d %b %Y %H:%M:%S GMT"
#define VIEW_RFC1123 "%a, %d %b %Y %H:%M:%S GMT"
const char *view_time(struct arena *arena, const char *format, int64_t ns);

// The open notice of a reclaimed machine (spot or preempt), of maintenance, of rebalancing; NULL.
const struct notice *view_reclaim(const struct instance *i);
const struct notice *view_maintenance(const struct instance *i);
const struct notice *view_rebalance(const struct instance *i);

#endif
