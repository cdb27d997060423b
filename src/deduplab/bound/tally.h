/* What was counted of the chunks of one grain; tally.py says what a tally is. */
#ifndef DEDUPLAB_TALLY_H
#define DEDUPLAB_TALLY_H

#include <stdint.h>

/* As in histogram.py: values up to 15 are told apart, above them 16 bins cover each octave. */
#define STEP_BITS 4
#define STEPS 16
#define DISTANCE_BINS (STEPS + (53 - STEP_BITS) * STEPS)

struct chunk {
    uint64_t length;
    uint64_t first;
    uint64_t second;
};

/* A unique chunk. A row whose count is 0 is a free slot. */
struct row {
    uint64_t first;
    uint64_t second;
    uint64_t length;
    uint64_t count;
    uint64_t last_end;
};

/* Python reads the numbers that stand first (native.py). */
struct tally {
    uint64_t chunks;
    uint64_t logical_bytes;
    int64_t used;      /* rows */
    int64_t most_rows; /* the limit of a sampled tally; 0 for an exact one */
    int64_t halvings;  /* k of a sample of p = 2^-k */
    uint64_t distances[DISTANCE_BINS];
    struct row *rows;
    int64_t slots;
    uint64_t part_begin;
    int closed; /* no more is counted: the rows are sorted, one behind the other (closed.c) */
    const struct row *others; /* sorted rows of another process, not merged yet */
    int64_t others_used;
};

/* The slot from which on a row is sought, by the first half of its fingerprint. */
static inline int64_t slot_of(const struct tally *tally, uint64_t first)
{
    return (int64_t)(((first << tally->halvings >> 32) * (uint64_t)tally->slots) >> 32);
}

/* Whether a row comes before another one in the order of fingerprints; without branches, as that can't
 * be foretold. */
static inline int is_before(const struct row *one, const struct row *other)
{
    return (one->first < other->first) |
           ((one->first == other->first) & (one->second < other->second));
}

/* How many bits a number takes; 0 for 0. */
static inline int bit_length(uint64_t value)
{
#if defined(__GNUC__)
    return value == 0 ? 0 : 64 - __builtin_clzll(value);
#else
    int bits = 0;

    for (; value != 0; value >>= 1)
        bits++;
    return bits;
#endif
}

/* Functions that need memory return -1, or NULL, where there is none. */
struct row *rows_new(int64_t slots);
void rows_free(struct row *rows, int64_t slots);
struct tally *tally_new(int64_t most_rows, int64_t halvings);
struct tally *tally_copy(const struct tally *tally);
void tally_free(struct tally *tally);

/* Count chunks, in their order in the stream. */
int tally_count(struct tally *tally, const struct chunk *chunks, int64_t count);

/* Go on with a part that has no distances to what was before it. */
void tally_begin_part(struct tally *tally);

#endif
