/* A tally that is closed: nothing more is counted, and its rows lie one behind the other, sorted by
 * their fingerprints, so that those of two processes are merged in one pass.
 */
#include "shown.h"
#include "tally.h"

#include <stdlib.h>
#include <string.h>

/* Put a row behind sorted ones, or farther in front where it belongs. */
static void put(struct row *rows, int64_t count, struct row row)
{
    struct row *place = rows + count;

    for (; place > rows && is_before(&row, place - 1); place--)
        *place = place[-1];
    *place = row;
}

/* Whether a row lies before the slot that it is sought from, as there was none free at the end. */
static int is_wrapped(const struct tally *tally, int64_t slot)
{
    return slot_of(tally, tally->rows[slot].first) > slot;
}

/* How many rows are wrapped: they lie before the first free slot. */
static int64_t wrapped_rows(const struct tally *tally)
{
    int64_t wrapped = 0;

    for (int64_t slot = 0; slot < tally->slots && tally->rows[slot].count != 0; slot++)
        wrapped += is_wrapped(tally, slot);
    return wrapped;
}

/* Move the rows of a table to its front, and those that are wrapped aside; return how many are there
 * then, nearly sorted. */
static int64_t move_together(struct tally *tally, struct row *aside, int64_t wrapped)
{
    struct row *const rows = tally->rows;
    int64_t count = 0, slot = 0;

    for (; wrapped > 0; slot++)
        if (is_wrapped(tally, slot)) {
            *aside++ = rows[slot];
            wrapped--;
        } else
            rows[count++] = rows[slot];
    for (; slot < tally->slots; slot++) {
        /* No branch: which slots are free can't be foretold. */
        rows[count] = rows[slot];
        count += rows[slot].count != 0;
    }
    return count;
}

/* Close a tally. A row lies few slots behind the one that it is sought from, so that each moves past
 * few others; but for those that are wrapped, which come last. */
SHOWN int tally_close(struct tally *tally)
{
    struct row *const rows = tally->rows, *aside;
    int64_t wrapped, count;

    if (tally->closed)
        return 0;
    wrapped = wrapped_rows(tally);
    aside = malloc((size_t)wrapped * sizeof *aside + 1);
    if (aside == NULL)
        return -1;
    count = move_together(tally, aside, wrapped);
    for (int64_t number = 1; number < count; number++)
        if (is_before(rows + number, rows + number - 1))
            put(rows, number, rows[number]);
    for (int64_t number = 0; number < wrapped; number++)
        put(rows, count++, aside[number]);
    free(aside);
    tally->closed = 1;
    return 0;
}

/* Merge sorted rows; return how many there are then. */
static int64_t merge(const struct row *one, const struct row *one_end, const struct row *other,
                     const struct row *other_end, struct row *merged)
{
    struct row *next = merged;

    while (one < one_end && other < other_end) {
        const int same = one->first == other->first && one->second == other->second;
        const int from_one = same || is_before(one, other);

        *next = from_one ? *one : *other;
        next->count += same ? other->count : 0;
        next++;
        one += from_one;
        other += same || !from_one;
    }
    for (; one < one_end; one++)
        *next++ = *one;
    for (; other < other_end; other++)
        *next++ = *other;
    return next - merged;
}

/* Merge what was absorbed last into the rows. */
SHOWN int tally_settle(struct tally *tally)
{
    const int64_t slots = tally->used + tally->others_used;
    struct row *merged;

    if (tally->others_used == 0)
        return 0;
    merged = rows_new(slots);
    if (merged == NULL)
        return -1;
    tally->used = merge(tally->rows, tally->rows + tally->used, tally->others,
                        tally->others + tally->others_used, merged);
    rows_free(tally->rows, tally->slots);
    tally->rows = merged;
    tally->slots = slots;
    tally->others = NULL;
    tally->others_used = 0;
    return 0;
}

/* Close a tally, and count in it what a closed one of another process has counted: these rows, which
 * must stay there until they are settled. Both tallies are exact. */
SHOWN int tally_absorb(struct tally *tally, const struct tally *numbers, const struct row *rows)
{
    if (tally_close(tally) || tally_settle(tally))
        return -1;
    tally->chunks += numbers->chunks;
    tally->logical_bytes += numbers->logical_bytes;
    for (int bin = 0; bin < DISTANCE_BINS; bin++)
        tally->distances[bin] += numbers->distances[bin];
    tally->others = rows;
    tally->others_used = numbers->used;
    return 0;
}

/* The rows of a closed and settled tally: `used` of them. */
SHOWN const struct row *tally_rows(const struct tally *tally)
{
    return tally->rows;
}

/* Write the rows of a closed and settled tally as columns of `used` numbers each. */
SHOWN void tally_columns(const struct tally *tally, uint64_t *firsts, uint64_t *seconds,
                         uint64_t *lengths, uint64_t *counts)
{
    for (const struct row *row = tally->rows; row < tally->rows + tally->used; row++) {
        *firsts++ = row->first;
        *seconds++ = row->second;
        *lengths++ = row->length;
        *counts++ = row->count;
    }
}

/* Write how often each chunk of a closed and settled tally was seen, in the order of the rows. */
SHOWN void tally_occurrences(const struct tally *tally, uint64_t *counts)
{
    for (const struct row *row = tally->rows; row < tally->rows + tally->used; row++)
        *counts++ = row->count;
}
