#include "cli/suggest.h"

#include <stdint.h>
#include <string.h>

#define WORD_MAX 64

void suggest_init(struct suggestion *s, const char *word)
{
    size_t third = strlen(word) / 3;

    s->word = word;
    s->best = NULL;
    s->distance = (third > 1 ? third : 1) + 1; // a candidate must be nearer than this
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t suggest_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    size_t d[WORD_MAX][WORD_MAX];

    if (n >= WORD_MAX || m >= WORD_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
                            d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

void suggest_offer(struct suggestion *s, const char *candidate)
{
    size_t distance = suggest_distance(s->word, candidate);

    if (distance < s->distance) {
        s->distance = distance;
        s->best = candidate;
    }
}
