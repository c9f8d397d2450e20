#include "api/wrong_answers.h"

#include "base/hash.h"
#include "base/timefmt.h"

#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *document, const char *key)
{
    const char *text = json_string_value(json_object_get(document, key));

    return text ? text : "";
}

// Of the ids of rule and resource.
static uint64_t seed_of(const json_t *document, const struct fault *fault)
{
    return hash_text(hash_text(HASH_START, fault->r.id), text_of(document, "id"));
}

// --- orders ---

static void swap(json_t *list, size_t a, size_t b)
{
    json_t *first = json_incref(json_array_get(list, a));

    json_array_set(list, a, json_array_get(list, b));
    json_array_set_new(list, b, first);
}

// Fisher and Yates over the places that are chosen; when chance leaves all where they are, the
// first two change places.
void wrong_order(json_t *items, const bool *chosen, uint64_t seed)
{
    size_t count = json_array_size(items), first = count, second = count;
    bool moved = false;

    for (size_t i = 0; i < count; i++) {
        size_t left = 0, pick;

        if (!chosen[i])
            continue;
        second = second == count && first != count ? i : second;
        first = first == count ? i : first;
        for (size_t k = i; k < count; k++)
            left += chosen[k];
        pick = (size_t)(random_u64(seed, (int64_t)i, 0) % left);
        for (size_t k = i; k < count; k++)
            if (chosen[k] && pick-- == 0) {
                moved |= k != i;
                swap(items, i, k);
                break;
            }
    }
    if (!moved && second != count)
        swap(items, first, second);
}

// --- addresses ---

// From the ranges for documentation (RFC 5737, RFC 3849): nobody has them.
static void set_wrong_address(json_t *item, uint64_t draw)
{
    const char *type = text_of(item, "type"), *family = text_of(item, "family");
    char text[64];

    if (strcmp(family, "ipv6") == 0)
        snprintf(text, sizeof(text), "2001:db8::%x", (unsigned)(draw % 0xfffe + 1));
    else if (strcmp(family, "ipv4") == 0)
        snprintf(text, sizeof(text), "%s.%u",
                 strcmp(type, "internal") == 0 ? "198.51.100" : "203.0.113",
                 (unsigned)(draw % 254 + 1));
    else
        snprintf(text, sizeof(text), "wrong-%u.invalid", (unsigned)(draw % 1000));
    json_object_set_new(item, "address", json_string(text));
}

static void set_wrong_addresses(json_t *addresses, uint64_t seed)
{
    json_t *item;
    size_t i;

    json_array_foreach(addresses, i, item) set_wrong_address(item, random_u64(seed, (int64_t)i, 0));
}

static void reverse(json_t *addresses)
{
    size_t count = json_array_size(addresses);

    for (size_t i = 0; i < count / 2; i++)
        swap(addresses, i, count - 1 - i);
}

// --- ids and times ---

// What parsers of ids have to cope with.
static void malform_id(json_t *document, uint64_t seed)
{
    const char *id = text_of(document, "id");
    char text[128];

    switch (random_u64(seed, 0, 1) % 5) {
    case 0:
        text[0] = '\0';
        break;
    case 1:
        snprintf(text, sizeof(text), "%s/", id);
        break;
    case 2:
        snprintf(text, sizeof(text), " %s\n", id);
        break;
    case 3:
        snprintf(text, sizeof(text), "%.*s", (int)strcspn(id, "-"), id);
        break;
    default:
        snprintf(text, sizeof(text), "../%s", id);
    }
    json_object_set_new(document, "id", json_string(text));
}

static void skew(json_t *document, const char *key, int64_t by)
{
    char text[TIME_TEXT_MAX];
    int64_t ns;

    if (!json_object_get(document, key) || time_parse(text_of(document, key), &ns, NULL) < 0)
        return;
    time_format(ns + by > 0 ? ns + by : 0, text);
    json_object_set_new(document, key, json_string(text));
}

void wrong_answer(json_t *document, const struct fault *fault, const char *name)
{
    json_t *addresses = json_object_get(document, "addresses");
    uint64_t seed = seed_of(document, fault);

    switch (fault->effect.wrong) {
    case FAULT_WRONG_ADDRESSES_MISSING:
        json_array_clear(addresses);
        break;
    case FAULT_WRONG_ADDRESSES_REORDERED:
        reverse(addresses);
        break;
    case FAULT_WRONG_ADDRESSES:
        set_wrong_addresses(addresses, seed);
        if (json_object_get(document, "address")) // a reserved one
            set_wrong_address(document, seed);
        break;
    case FAULT_WRONG_DUPLICATE_NAMES:
        if (name && json_object_get(document, "name"))
            json_object_set_new(document, "name", json_string(name));
        break;
    case FAULT_WRONG_MALFORMED_IDS:
        if (json_object_get(document, "id"))
            malform_id(document, seed);
        break;
    case FAULT_WRONG_CLOCK_SKEW:
        skew(document, "created_at", fault->effect.duration_ns);
        skew(document, "updated_at", fault->effect.duration_ns);
        skew(document, "transition_at", fault->effect.duration_ns);
        break;
    }
}
