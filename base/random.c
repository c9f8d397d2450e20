#include "base/random.h"

#include "base/timefmt.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <uuid/uuid.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

// The finalizer of splitmix64: every input bit reaches every output bit.
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return x;
}

uint64_t random_u64(uint64_t seed, int64_t revision, uint32_t stream)
{
    uint64_t x = mix(seed + GOLDEN);

    x = mix((x ^ (uint64_t)revision) + GOLDEN);
    return mix((x ^ stream) + GOLDEN);
}

static double to_unit(uint64_t x)
{
    return (double)(x >> 11) * 0x1p-53;
}

double random_unit(uint64_t seed, int64_t revision, uint32_t stream)
{
    return to_unit(random_u64(seed, revision, stream));
}

// The 122 random bits of a name-based UUID; version and variant are constants and left out of an
// id.
static void make_id(char out[ID_MAX], const char *prefix, uint64_t seed, const char *name,
                    size_t length)
{
    // mockcloud's own namespace: any fixed UUID would do, but it must never change
    static const uuid_t root = {0x6d, 0x6f, 0x63, 0x6b, 0x63, 0x6c, 0x4f, 0x75,
                                0xa4, 0x2d, 0x69, 0x64, 0x73, 0x2d, 0x76, 0x31};
    uuid_t space, id;
    char seed_name[64];

    snprintf(seed_name, sizeof(seed_name), "seed/%" PRIu64, seed);
    uuid_generate_sha1(space, root, seed_name, strlen(seed_name));
    uuid_generate_sha1(id, space, name, length);
    snprintf(out, ID_MAX, "%.5s-%02x%02x%02x%02x%02x%02x%x%02x%02x", prefix, id[0], id[1], id[2],
             id[3], id[4], id[5], id[6] & 15u, id[7], id[9]);
}

void id_make(char out[ID_MAX], const char *prefix, uint64_t seed, int64_t revision)
{
    char name[64];

    snprintf(name, sizeof(name), "%.5s/%" PRId64, prefix, revision);
    make_id(out, prefix, seed, name, strlen(name));
}

void id_make_of_text(char out[ID_MAX], const char *prefix, uint64_t seed, const char *text)
{
    make_id(out, prefix, seed, text, strlen(text));
}

static bool from_system(void *out, size_t size)
{
    unsigned char *at = out;

    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

int secret_make(char *out, size_t size, struct error *err)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char bytes[64];

    for (size_t i = 0; i + 1 < size; i++) {
        size_t at = i % sizeof(bytes);
        if (at == 0 && !from_system(bytes, sizeof(bytes)))
            return error_set(err, ERROR_INTERNAL, NULL, "getrandom: %s", strerror(errno));
        out[i] = hex[bytes[at] & 15];
    }
    explicit_bzero(bytes, sizeof(bytes));
    if (size > 0)
        out[size - 1] = '\0';
    return 0;
}

// A seed is no secret: without getrandom an address that ASLR moves is better than stopping.
uint64_t random_seed(void)
{
    uint64_t seed;

    if (!from_system(&seed, sizeof(seed)))
        seed = mix((uint64_t)(uintptr_t)&seed + GOLDEN);
    return seed;
}

// Box-Muller: two uniform draws, the second one continuing the first one's chain.
static double draw_normal(uint64_t first)
{
    double u = 1.0 - to_unit(first); // (0, 1]: its logarithm is finite
    double v = to_unit(mix(first + GOLDEN));

    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
}

// Mean and deviation of the drawn value determine those of its logarithm.
static double draw_lognormal(double mean, double stddev, uint64_t first)
{
    double ratio = stddev / mean;
    double variance = log1p(ratio * ratio);

    if (mean <= 0)
        return 0;
    return exp(log(mean) - variance / 2 + sqrt(variance) * draw_normal(first));
}

static int64_t to_duration(double ns)
{
    if (!(ns > 0))
        return 0;
    return ns >= (double)DURATION_MAX ? DURATION_MAX : llround(ns);
}

int64_t distribution_draw(const struct distribution *d, uint64_t seed, int64_t revision,
                          uint32_t stream)
{
    uint64_t first = random_u64(seed, revision, stream);
    double a = (double)d->a, b = (double)d->b;

    switch (d->kind) {
    case DISTRIBUTION_FIXED:
        return to_duration(a);
    case DISTRIBUTION_UNIFORM:
        return to_duration(a + (b - a) * to_unit(first));
    case DISTRIBUTION_NORMAL:
        return to_duration(a + b * draw_normal(first));
    case DISTRIBUTION_LOGNORMAL:
        return to_duration(draw_lognormal(a, b, first));
    }
    return 0;
}
