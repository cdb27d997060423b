/* What is published of the chunks of a tally; figures.py says what each is. */
#ifndef DEDUPLAB_FIGURES_H
#define DEDUPLAB_FIGURES_H

#include <stdint.h>

#define COPIES_APART 16
#define OCTAVES 65
#define PERCENTILES 7

/* Each unique chunk counts once. */
struct figures {
    uint64_t unique_chunks;
    uint64_t unique_bytes;
    uint64_t squares_low; /* the sum of the lengths' squares */
    uint64_t squares_high;
    uint64_t copies[COPIES_APART + OCTAVES]; /* by occurrences: 0 to 15 apart, then by bit length */
    uint64_t lengths[OCTAVES];               /* by bit length */
    uint64_t percentiles[PERCENTILES];       /* of the lengths: 1, 10, 25, 50, 75, 90, 99 */
};

#endif
