/* Chunks that a sample for compression keeps (compression.py says which), picked out of what was cut.
 * They are few, so the caller looks at these alone.
 */
#include "scan.h"

#include "shown.h"

struct picked {
    int64_t grain;  /* -1 for a whole object */
    int64_t begin;  /* where in the data; below 0 in what was carried to it */
    int64_t length;
    uint64_t first; /* of the fingerprint */
};

/* Objects that lie in data, or one that begins before it: the place of what was carried. */
struct objects {
    const int64_t *begins;
    const int64_t *ends;
    int64_t number;
    int64_t at; /* where the next chunk begins */
};

/* Where the next chunk begins. The chunks of an object tile it, and an empty object has none. */
static int64_t next_begin(struct objects *objects, int64_t length)
{
    int64_t begin;

    while (objects->ends != NULL && objects->at == objects->ends[objects->number])
        objects->at = objects->begins[++objects->number];
    begin = objects->at;
    objects->at += length;
    return begin;
}

/* Whether a chunk is kept that is with probability min(1, length / 2^thinning). */
static int is_picked(const struct chunk *chunk, int64_t thinning)
{
    return thinning == 0 || chunk->first >> (64 - thinning) < chunk->length;
}

static int pick(struct scan *scan, int64_t grain, const struct chunk *chunks, int64_t count,
                struct objects objects, int64_t thinning)
{
    for (int64_t number = 0; number < count; number++) {
        const int64_t length = (int64_t)chunks[number].length;
        const int64_t begin = next_begin(&objects, length);
        struct picked *picked;

        if (!is_picked(chunks + number, thinning))
            continue;
        picked = room_space(&scan->picked, (int64_t)sizeof *picked);
        if (picked == NULL)
            return -1;
        *picked = (struct picked){grain, begin, length, chunks[number].first};
        scan->picked.used += (int64_t)sizeof *picked;
    }
    return 0;
}

/* Pick from the cuts of all grains; for each the thinning of its sample, or -1 for nothing. */
static int pick_cuts(struct scan *scan, const uint8_t *cuts, const struct objects *objects,
                     const int64_t *thinnings)
{
    for (int64_t number = 0; number < scan->grains; number++) {
        const struct cuts *const found = (const struct cuts *)(const void *)cuts;
        const struct chunk *const chunks = (const struct chunk *)(const void *)(found + 1);
        const struct objects from =
            objects != NULL ? *objects
                            : (struct objects){.at = -scan->grain[number].carried.used};

        if (thinnings[number] >= 0 &&
            pick(scan, number, chunks, found->chunks, from, thinnings[number]))
            return -1;
        cuts += cuts_bytes(found);
    }
    return 0;
}

static int64_t picked_rows(const struct scan *scan)
{
    return scan->picked.used / (int64_t)sizeof(struct picked);
}

/* Pick from the objects of the last call of scan_objects(), and from their cuts. `whole_thinning`
 * is for the objects themselves, if these are counted. Return how many were picked, for
 * scan_picked(); -1 if there is no memory. */
SHOWN int64_t scan_pick_objects(struct scan *scan, const int64_t *begins, const int64_t *ends,
                                int64_t first, int64_t stop, int64_t whole_thinning,
                                const int64_t *thinnings)
{
    const struct chunk *const hashed = (const struct chunk *)(const void *)scan->objects.memory;
    struct objects objects;
    int64_t count = 0;

    scan->picked.used = 0;
    while (first < stop && ends[first] == begins[first])
        first++;
    if (first == stop)
        return 0;
    objects = (struct objects){begins, ends, first, begins[first]};
    for (int64_t number = first; number < stop; number++)
        count += ends[number] > begins[number];
    if (whole_thinning >= 0 && pick(scan, -1, hashed, count, objects, whole_thinning))
        return -1;
    return pick_cuts(scan, scan->cuts.memory, &objects, thinnings) ? -1 : picked_rows(scan);
}

/* Pick from the cuts of one object, or, if `is_part`, of the next part of an open one. */
SHOWN int64_t scan_pick_cuts(struct scan *scan, const uint8_t *cuts, int64_t is_part,
                             const int64_t *thinnings)
{
    const struct objects object = {0};

    scan->picked.used = 0;
    return pick_cuts(scan, cuts, is_part ? NULL : &object, thinnings) ? -1 : picked_rows(scan);
}

/* What the last call picked. */
SHOWN const struct picked *scan_picked(const struct scan *scan)
{
    return (const struct picked *)(const void *)scan->picked.memory;
}
