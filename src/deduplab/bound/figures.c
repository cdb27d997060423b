/* What is published of the chunks of a tally: sums, histograms and percentiles; figures.py says what
 * each is.
 */
#include "figures.h"

#include "shown.h"
#include "tally.h"

#include <stdlib.h>

__extension__ typedef unsigned __int128 wide;

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

/* Write the figures of a tally's rows; -1 if there is no memory. */
SHOWN int tally_figures(const struct tally *tally, struct figures *figures)
{
    const int64_t used = tally->used;
    uint64_t *const room = malloc((size_t)used * 2 * sizeof *room + 1), *next = room, *lengths;
    uint64_t greatest = 0;
    wide squares = 0;

    *figures = (struct figures){0};
    if (room == NULL)
        return -1;
    for (const struct row *row = tally->rows; row < tally->rows + tally->slots; row++) {
        if (row->count == 0)
            continue;
        *next++ = row->length;
        greatest = row->length > greatest ? row->length : greatest;
        figures->unique_bytes += row->length;
        squares += (wide)row->length * row->length;
        figures->lengths[bit_length(row->length)]++;
        figures->copies[row->count < COPIES_APART ? (int)row->count
                                                  : COPIES_APART + bit_length(row->count)]++;
    }
    figures->squares_low = (uint64_t)squares;
    figures->squares_high = (uint64_t)(squares >> 64);
    lengths = sorted(room, room + used, used, greatest);
    for (int which = 0; which < PERCENTILES && used > 0; which++)
        /* The least number that at least so many percent are not above. */
        figures->percentiles[which] = lengths[(used * PERCENTS[which] + 99) / 100 - 1];
    free(room);
    return 0;
}
