/* Unique chunks in a table of slots, found by their fingerprints: open addressing, linear probing.
 *
 * A row is sought from the slot on that its fingerprint's first half points at, as a share of 2^64:
 * so the rows lie almost in the order of their fingerprints.
 */
#define _GNU_SOURCE /* madvise() */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#define LEAST_SLOTS 1024
#define PAGE_BYTES ((size_t)64 << 10) /* a multiple of what it is anywhere */
#define LARGE_PAGE_BYTES ((size_t)2 << 20)
#define LEAST_PAGES_BYTES ((size_t)256 << 10)
#define MOST_HALVINGS 63
#define GREATEST_VALUE ((UINT64_C(1) << 53) - 1)
/* Rows are fetched from memory while so many chunks before them are counted. */
#define AHEAD 8

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) (void)(address)
#endif

/* The row of a chunk, or the free one that it would take. */
static struct row *row_of(const struct tally *tally, uint64_t first, uint64_t second)
{
    int64_t slot = slot_of(tally, first);
    struct row *row = tally->rows + slot;

    while (row->count != 0 && (row->first != first || row->second != second)) {
        slot = slot + 1 == tally->slots ? 0 : slot + 1;
        row = tally->rows + slot;
    }
    return row;
}

static int is_kept(const struct tally *tally, uint64_t first)
{
    return tally->halvings == 0 || first >> (64 - tally->halvings) == 0;
}

static int is_short(int64_t slots)
{
    return (size_t)slots * sizeof(struct row) < LARGE_PAGE_BYTES;
}

#if defined(__linux__)
/* How many bytes of pages a table takes that has some of its own; 0 for one that is shorter. */
static size_t pages_bytes(int64_t slots)
{
    const size_t bytes = (size_t)slots * sizeof(struct row);
    const size_t page = is_short(slots) ? PAGE_BYTES : LARGE_PAGE_BYTES;

    return bytes < LEAST_PAGES_BYTES ? 0 : (bytes + page - 1) & ~(page - 1);
}

/* A table is filled at random places, so that all of its pages are used soon: a long one lies in large
 * pages, of a shorter one all are had at once. */
struct row *rows_new(int64_t slots)
{
    const size_t bytes = pages_bytes(slots);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (is_short(slots) ? MAP_POPULATE : 0);
    void *memory;

    if (bytes == 0)
        return calloc((size_t)slots, sizeof(struct row));
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (!is_short(slots))
        (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a kernel may be built without them */
    return memory;
}

void rows_free(struct row *rows, int64_t slots)
{
    const size_t bytes = pages_bytes(slots);

    if (bytes == 0)
        free(rows);
    else
        munmap(rows, bytes);
}
#else
struct row *rows_new(int64_t slots)
{
    return calloc((size_t)slots, sizeof(struct row));
}

void rows_free(struct row *rows, int64_t slots)
{
    (void)slots;
    free(rows);
}
#endif

/* Put the rows that are kept into a new table of so many slots. */
static int move_rows(struct tally *tally, int64_t slots)
{
    struct row *const before = tally->rows, *const end = before + tally->slots;
    struct row *const rows = rows_new(slots);

    if (rows == NULL)
        return -1;
    tally->rows = rows;
    tally->slots = slots;
    tally->used = 0;
    for (const struct row *row = before; row < end; row++)
        if (row->count != 0 && is_kept(tally, row->first)) {
            *row_of(tally, row->first, row->second) = *row;
            tally->used++;
        }
    rows_free(before, end - before);
    return 0;
}

/* Have room for one row more; four fifths of the slots are in use at most. A short table grows by
 * more at a time: it takes little memory, and as long to get it as to fill it. */
static int reserve(struct tally *tally)
{
    if (5 * (tally->used + 1) <= 4 * tally->slots)
        return 0;
    return move_rows(tally, tally->slots + tally->slots / (is_short(tally->slots) ? 1 : 2));
}

/* Halve the sample until the limit is kept. -1 if it can't be: if too many halves are 0 or 1, which
 * no data has unless it was made so. */
static int keep_limit(struct tally *tally)
{
    int64_t kept = tally->used, slots;

    if (tally->most_rows == 0 || kept <= tally->most_rows)
        return 0;
    while (kept > tally->most_rows) {
        if (tally->halvings == MOST_HALVINGS)
            return -1;
        tally->halvings++;
        kept = 0;
        for (const struct row *row = tally->rows; row < tally->rows + tally->slots; row++)
            kept += row->count != 0 && is_kept(tally, row->first);
    }
    slots = 5 * kept / 3;
    return move_rows(tally, slots < LEAST_SLOTS ? LEAST_SLOTS : slots);
}

static int distance_bin(uint64_t value)
{
    const uint64_t kept = value < GREATEST_VALUE ? value : GREATEST_VALUE;
    const int shift = kept < STEPS ? 0 : bit_length(kept) - 1 - STEP_BITS;

    return (int)(kept >> shift) + shift * STEPS;
}

struct tally *tally_new(int64_t most_rows, int64_t halvings)
{
    struct tally *tally = calloc(1, sizeof *tally);

    if (tally == NULL)
        return NULL;
    tally->most_rows = most_rows;
    tally->halvings = halvings;
    tally->slots = LEAST_SLOTS;
    tally->rows = rows_new(LEAST_SLOTS);
    if (tally->rows == NULL) {
        free(tally);
        return NULL;
    }
    return tally;
}

struct tally *tally_copy(const struct tally *tally)
{
    struct tally *copy = malloc(sizeof *copy);
    struct row *rows = rows_new(tally->slots);
    const int64_t filled = tally->closed ? tally->used : tally->slots;

    if (copy == NULL || rows == NULL) {
        free(copy);
        if (rows != NULL)
            rows_free(rows, tally->slots);
        return NULL;
    }
    *copy = *tally;
    copy->rows = rows;
    memcpy(rows, tally->rows, (size_t)filled * sizeof *rows);
    return copy;
}

void tally_free(struct tally *tally)
{
    if (tally == NULL)
        return;
    rows_free(tally->rows, tally->slots);
    free(tally);
}

int tally_count(struct tally *tally, const struct chunk *chunks, int64_t count)
{
    for (int64_t number = 0; number < count; number++) {
        const struct chunk *const chunk = chunks + number;
        struct row *row;
        uint64_t end;

        if (number + AHEAD < count)
            FETCH(tally->rows + slot_of(tally, chunk[AHEAD].first));
        tally->chunks++;
        tally->logical_bytes += chunk->length;
        end = tally->logical_bytes;
        if (!is_kept(tally, chunk->first))
            continue;
        row = row_of(tally, chunk->first, chunk->second);
        if (row->count != 0) {
            if (row->last_end > tally->part_begin)
                tally->distances[distance_bin(end - chunk->length - row->last_end)] +=
                    UINT64_C(1) << tally->halvings;
            row->count++;
            row->last_end = end;
            continue;
        }
        *row = (struct row){chunk->first, chunk->second, chunk->length, 1, end};
        tally->used++;
        if (keep_limit(tally) || reserve(tally))
            return -1;
    }
    return 0;
}

void tally_begin_part(struct tally *tally)
{
    tally->part_begin = tally->logical_bytes;
}
