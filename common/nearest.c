/*
 * Edit distance with neighbours swapped counted as one (optimal string alignment), over the three rows that it needs. A candidate is
 * near if at most a third of the longer of the two has to change.
 */
#include "common/nearest.h"

#include <string.h>

enum { LONGEST = 64 };

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Both at most LONGEST long. */
static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][LONGEST + 1] = {0};

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], above_that[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

const char *
hv_nearest(const char *word, const char *(*word_at)(const void *arg, size_t i), const void *arg)
{
    size_t word_len = strlen(word), best_distance = LONGEST + 1;
    const char *best = NULL;

    if (word_len == 0 || word_len > LONGEST)
        return NULL;
    for (size_t i = 0;; i++) {
        const char *candidate = word_at(arg, i);
        if (candidate == NULL)
            return best;
        size_t len = strlen(candidate);
        if (len > LONGEST)
            continue;
        size_t changes = distance(word, word_len, candidate, len), longer = len > word_len ? len : word_len;
        if (changes < best_distance && changes * 3 <= longer) {
            best = candidate;
            best_distance = changes;
        }
    }
}
