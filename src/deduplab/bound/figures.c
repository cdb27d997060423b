/* What is published of the chunks of a tally: sums, histograms and percentiles; figures.py says what
 * each is.
 */
#include "figures.h"

#include "shown.h"
#include "tally.h"

#include <stdlib.h>

__extension__ typedef unsigned __int128 wide;

#define COUNTS_A_LENGTH 4

static const int PERCENTS[PERCENTILES] = {1, 10, 25, 50, 75, 90, 99};

/* Sort numbers that are at most `greatest`, a byte at a time from the lowest on; the result is in one
 * of the two pieces of memory, which is returned. */
static uint64_t *sorted(uint64_t *values, uint64_t *other, int64_t count, uint64_t greatest)
{
    for (int shift = 0; shift < 64 && greatest >> shift != 0; shift += 8) {
        int64_t places[257] = {0};
        uint64_t *const from = values;

        for (int64_t at = 0; at < count; at++)
            places[(from[at] >> shift & 255) + 1]++;
        for (int byte = 0; byte < 256; byte++)
            places[byte + 1] += places[byte];
        for (int64_t at = 0; at < count; at++)
            other[places[from[at] >> shift & 255]++] = from[at];
        values = other;
        other = from;
    }
    return values;
}

/* Write percentiles of so many lengths, the least that at least so many percent are not above, from how
 * many there are of each. */
static int from_counts(const uint64_t *lengths, int64_t count, uint64_t greatest,
                       uint64_t *percentiles)
{
    int64_t *const counts = calloc((size_t)greatest + 1, sizeof *counts), sum = 0;
    int which = 0;

    if (counts == NULL)
        return -1;
    for (int64_t number = 0; number < count; number++)
        counts[lengths[number]]++;
    for (uint64_t length = 0; length <= greatest; length++)
        for (sum += counts[length]; which < PERCENTILES && 100 * sum >= count * PERCENTS[which];)
            percentiles[which++] = length;
    free(counts);
    return 0;
}

/* The same by sorting them. */
static int from_sorted(uint64_t *lengths, int64_t count, uint64_t greatest, uint64_t *percentiles)
{
    uint64_t *const room = malloc((size_t)count * sizeof *room), *ordered;

    if (room == NULL)
        return -1;
    ordered = sorted(lengths, room, count, greatest);
    for (int which = 0; which < PERCENTILES; which++)
        percentiles[which] = ordered[(count * PERCENTS[which] + 99) / 100 - 1];
    free(room);
    return 0;
}

/* What is summed up of rows, one after the other. */
struct sums {
    struct figures *figures;
    uint64_t *length; /* the next one */
    uint64_t greatest;
    wide squares;
};

static inline void add_row(struct sums *sums, uint64_t length, uint64_t count)
{
    struct figures *const figures = sums->figures;

    *sums->length++ = length;
    sums->greatest = length > sums->greatest ? length : sums->greatest;
    sums->squares += (wide)length * length;
    figures->unique_bytes += length;
    figures->lengths[bit_length(length)]++;
    figures->copies[count < COPIES_APART ? (int)count : COPIES_APART + bit_length(count)]++;
}

/* Add the rows of a closed tally, and those of another process, merged. */
static void add_rows(struct sums *sums, const struct tally *tally)
{
    const struct row *one = tally->rows, *const one_end = one + tally->used;
    const struct row *other = tally->others, *const other_end = other + tally->others_used;

    while (one < one_end && other < other_end) {
        /* No branches: which comes first can't be foretold. */
        const uint64_t same = (one->first == other->first) & (one->second == other->second);
        const uint64_t from_one = same | (uint64_t)is_before(one, other);
        const uint64_t from_other = same | !from_one;

        add_row(sums, (one->length & -from_one) | (other->length & ~-from_one),
                (one->count & -from_one) + (other->count & -from_other));
        one += from_one;
        other += from_other;
    }
    for (; one < one_end; one++)
        add_row(sums, one->length, one->count);
    for (; other < other_end; other++)
        add_row(sums, other->length, other->count);
}

/* Write the figures of the rows of a closed tally; -1 if there is no memory. */
SHOWN int tally_figures(const struct tally *tally, struct figures *figures)
{
    uint64_t *const lengths =
        malloc((size_t)(tally->used + tally->others_used) * sizeof *lengths + 1);
    struct sums sums = {figures, lengths, 0, 0};
    int64_t count;
    int failed = 0;

    *figures = (struct figures){0};
    if (lengths == NULL)
        return -1;
    add_rows(&sums, tally);
    count = sums.length - lengths;
    figures->unique_chunks = (uint64_t)count;
    figures->squares_low = (uint64_t)sums.squares;
    figures->squares_high = (uint64_t)(sums.squares >> 64);
    /* Counts take less time, where there are not many for each length. */
    if (sums.greatest < COUNTS_A_LENGTH * (uint64_t)count)
        failed = from_counts(lengths, count, sums.greatest, figures->percentiles);
    else if (count > 0)
        failed = from_sorted(lengths, count, sums.greatest, figures->percentiles);
    free(lengths);
    return failed;
}
