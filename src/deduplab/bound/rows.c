/* Unique chunks in a table of slots, found by their fingerprints: open addressing, linear probing.
 *
 * The table lies in memory that the caller owns, with zeros in free slots; it must have more slots
 * than rows. A row is sought from the slot on that its fingerprint's first half points at, as a
 * share of 2^64: so the rows lie almost in the order of their fingerprints.
 */
#include "shown.h"

#include <stdint.h>

struct row {
    uint64_t first;
    uint64_t second;
    uint64_t length;
    uint64_t count;
    uint64_t last_end;
};

/* The slot of a row, or the free one that it would take. `halvings` says how many of the highest
 * bits are 0 in all rows. */
static struct row *slot_of(struct row *rows, uint64_t slots, int halvings, uint64_t first,
                           uint64_t second)
{
    uint64_t slot = ((first << halvings >> 32) * slots) >> 32;

    while (rows[slot].count != 0 && (rows[slot].first != first || rows[slot].second != second))
        slot = slot + 1 == slots ? 0 : slot + 1;
    return rows + slot;
}

/* Count chunks in their order. Of each that ended behind a place before, write the bytes between that
 * end and its begin. `*written` is how many these are; return how many chunks are new rows. */
SHOWN int64_t rows_count(struct row *rows, int64_t slots, int64_t halvings, const uint64_t *firsts,
                         const uint64_t *seconds, const uint64_t *lengths, const uint64_t *ends,
                         int64_t chunks, uint64_t behind, uint64_t *gaps, int64_t *written)
{
    int64_t news = 0, copies = 0;

    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        struct row *row =
            slot_of(rows, (uint64_t)slots, (int)halvings, firsts[chunk], seconds[chunk]);

        if (row->count != 0) {
            if (row->last_end > behind)
                gaps[copies++] = ends[chunk] - lengths[chunk] - row->last_end;
        } else {
            news++;
            row->first = firsts[chunk];
            row->second = seconds[chunk];
            row->length = lengths[chunk];
        }
        row->count++;
        row->last_end = ends[chunk];
    }
    *written = copies;
    return news;
}

/* Put the rows of one table into another one, which has none of them. Return how many. */
SHOWN int64_t rows_move(const struct row *from, int64_t from_slots, struct row *rows, int64_t slots,
                        int64_t halvings)
{
    int64_t moved = 0;

    for (const struct row *row = from; row < from + from_slots; row++)
        if (row->count != 0) {
            *slot_of(rows, (uint64_t)slots, (int)halvings, row->first, row->second) = *row;
            moved++;
        }
    return moved;
}
