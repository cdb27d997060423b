/* One stream, cut at all grains that were asked for, hashed and counted.
 *
 * The caller hands over objects that lie in memory as a whole, many in one call, or parts of an open
 * object. Where an object or a part was cut before, it hands over what was found then. What is found
 * is a list of cuts: for each grain a `struct cuts`, and the chunks that it announces.
 *
 * Plain C11, without Python: it is called through ctypes, which lets other threads of the interpreter
 * run meanwhile. One scan must not be used by two of them at once. The hash is not ours: it is
 * XXH3-128 as the package xxhash brings it, handed over as a pointer.
 */
#include "scan.h"

#include "shown.h"

#include <stdlib.h>
#include <string.h>

/* Give a tally of its own to each grain that cuts objects of this length, INT64_MAX for any: before an
 * object that comes in parts. */
SHOWN int scan_expect(struct scan *scan, int64_t longest)
{
    int sharing = 0;

    for (struct grain *grain = scan->grain; grain < scan->grain + scan->grains; grain++) {
        if (grain->tally == NULL && longest > grain->never_cut) {
            grain->tally = tally_copy(scan->whole);
            if (grain->tally == NULL)
                return -1;
        }
        sharing |= grain->tally == NULL;
    }
    if (!sharing && !scan->keeps_whole) {
        tally_free(scan->whole);
        scan->whole = NULL;
    }
    return 0;
}

/* The halves of the fingerprint of some bytes. */
SHOWN void scan_hash(hash_function hash, const uint8_t *data, int64_t length, uint64_t *halves)
{
    const struct chunk chunk = chunk_of(&(struct scan){.hash = hash}, data, length);

    halves[0] = chunk.first;
    halves[1] = chunk.second;
}

SHOWN void scan_free(struct scan *scan)
{
    if (scan == NULL)
        return;
    for (struct grain *grain = scan->grain; grain < scan->grain + scan->grains; grain++) {
        tally_free(grain->tally);
        free(grain->carried.memory);
    }
    tally_free(scan->whole);
    free(scan->grain);
    free(scan->cuts.memory);
    free(scan->objects.memory);
    free(scan->marks.memory);
    free(scan->joined.memory);
    free(scan->picked.memory);
    free(scan);
}

/* Begin with a stream. For each grain its size, how long an object may be that it never cuts, and the
 * greatest length of a chunk; `average_bits` are 0 for blocks. `keeps_whole` says whether whole
 * objects are asked for. A sampled scan has a limit of rows, and begins with p = 2^-halvings. */
SHOWN struct scan *scan_new(hash_function hash, int64_t grains, const int64_t *sizes,
                            const int64_t *average_bits, const int64_t *never_cut,
                            const int64_t *most, int64_t keeps_whole, int64_t most_rows,
                            int64_t halvings)
{
    struct scan *scan = calloc(1, sizeof *scan);

    if (scan == NULL)
        return NULL;
    scan->hash = hash;
    scan->keeps_whole = keeps_whole;
    scan->whole = tally_new(most_rows, halvings);
    scan->grain = calloc((size_t)grains + 1, sizeof *scan->grain);
    if (scan->whole == NULL || scan->grain == NULL) {
        scan_free(scan);
        return NULL;
    }
    scan->grains = grains;
    for (int64_t number = 0; number < grains; number++)
        scan->grain[number] = (struct grain){.size = sizes[number],
                                             .average_bits = average_bits[number],
                                             .never_cut = never_cut[number],
                                             .most = most[number]};
    return scan;
}

/* The tally of a grain, NULL if it shares that of the whole objects; of these, if the number is -1:
 * NULL if no grain needs it. */
SHOWN struct tally *scan_tally(const struct scan *scan, int64_t number)
{
    return number < 0 ? scan->whole : scan->grain[number].tally;
}

/* What was found by the last call that cut. */
SHOWN const uint8_t *scan_cuts(const struct scan *scan)
{
    return scan->cuts.memory;
}

/* The objects of the last call of scan_objects(), as chunks, if whole objects were counted. */
SHOWN const struct chunk *scan_hashed(const struct scan *scan)
{
    return (const struct chunk *)(const void *)scan->objects.memory;
}

/* Whether so many numbers ascend. */
SHOWN int scan_ascends(const int64_t *numbers, int64_t count)
{
    for (int64_t at = 1; at < count; at++)
        if (numbers[at] < numbers[at - 1])
            return 0;
    return 1;
}

/* Hash objects, which are counted as such, and write them as chunks; the empty ones are left out. */
static int64_t hash_objects(struct scan *scan, const uint8_t *data, const int64_t *begins,
                            const int64_t *ends, const uint64_t *known, int64_t first, int64_t stop)
{
    struct chunk *chunks = room_space(&scan->objects, (stop - first) * (int64_t)sizeof *chunks);
    int64_t count = 0;

    if (chunks == NULL)
        return -1;
    for (int64_t number = first; number < stop; number++) {
        const int64_t length = ends[number] - begins[number];

        if (length == 0)
            continue;
        if (known != NULL)
            chunks[count++] =
                (struct chunk){(uint64_t)length, known[2 * number], known[2 * number + 1]};
        else
            chunks[count++] = chunk_of(scan, data + begins[number], length);
    }
    return count;
}

/* Count the cuts of all grains, which lie there in their order. Grains that share the whole objects'
 * tally have been counted with it. */
static int count_cuts(const struct scan *scan, const uint8_t *memory)
{
    for (struct grain *grain = scan->grain; grain < scan->grain + scan->grains; grain++) {
        const struct cuts *const cuts = (const struct cuts *)(const void *)memory;
        const struct chunk *const chunks = (const struct chunk *)(const void *)(cuts + 1);

        if (grain->tally != NULL && tally_count(grain->tally, chunks, cuts->chunks))
            return -1;
        memory += cuts_bytes(cuts);
    }
    return 0;
}

/* Cut and count objects that lie in data as a whole, in ascending order, up to the first one of at
 * least `long_bytes`. `known` are their fingerprints, two numbers each, or NULL. Return the number of
 * the first object that was not taken; -1 if there is no memory. */
SHOWN int64_t scan_objects(struct scan *scan, const uint8_t *data, const int64_t *begins,
                           const int64_t *ends, const uint64_t *known, int64_t first, int64_t stop,
                           int64_t long_bytes)
{
    const struct chunk *objects = NULL;
    int64_t longest = 0, taken = first;

    scan->cuts.used = 0;
    for (; taken < stop && ends[taken] - begins[taken] < long_bytes; taken++)
        if (ends[taken] - begins[taken] > longest)
            longest = ends[taken] - begins[taken];
    if (longest == 0)
        return taken;
    if (scan_expect(scan, longest))
        return -1;
    if (scan->whole != NULL || known != NULL) {
        const int64_t count = hash_objects(scan, data, begins, ends, known, first, taken);

        if (count < 0)
            return -1;
        objects = (const struct chunk *)(const void *)scan->objects.memory;
        if (scan->whole != NULL && tally_count(scan->whole, objects, count))
            return -1;
    }
    if (cutting_mark(scan, data + begins[first], ends[taken - 1] - begins[first], longest))
        return -1;
    for (const struct grain *grain = scan->grain; grain < scan->grain + scan->grains; grain++) {
        if (grain->tally == NULL ? cutting_nothing(scan)
                                 : cutting_objects(scan, grain, data, begins, ends, objects, first,
                                                   taken))
            return -1;
    }
    return count_cuts(scan, scan->cuts.memory) ? -1 : taken;
}

/* Cut an object that lies there as a whole, or, if `is_part`, the next part of an open one; `final`
 * says that the object ends with it. Nothing is counted. Return how many bytes were found, for
 * scan_cuts(); -1 if there is no memory. */
SHOWN int64_t scan_cut(struct scan *scan, const uint8_t *data, int64_t length, int64_t is_part,
                       int64_t final)
{
    const int64_t begin = 0;

    scan->cuts.used = 0;
    if (cutting_mark(scan, data, length, is_part ? INT64_MAX : length))
        return -1;
    for (const struct grain *grain = scan->grain; grain < scan->grain + scan->grains; grain++)
        if (is_part ? cutting_part(scan, grain, data, length, final != 0)
                    : cutting_objects(scan, grain, data, &begin, &length, NULL, 0, 1))
            return -1;
    return scan->cuts.used;
}

/* Keep the end of an open object, as far as it was not cut. */
static int carry(struct room *carried, const uint8_t *data, int64_t length, int64_t left)
{
    const int64_t kept = left > length ? left - length : 0;

    if (kept > 0)
        memmove(carried->memory, carried->memory + carried->used - kept, (size_t)kept);
    carried->used = kept;
    if (room_space(carried, left - kept + 1) == NULL)
        return -1;
    if (left > kept)
        memcpy(carried->memory + kept, data + length - (left - kept), (size_t)(left - kept));
    carried->used = left;
    return 0;
}

/* Count an object, whose fingerprint is given, and what was found when it was cut. */
SHOWN int scan_count_object(struct scan *scan, const uint8_t *cuts, int64_t length, uint64_t first,
                            uint64_t second)
{
    const struct chunk object = {(uint64_t)length, first, second};

    if (scan_expect(scan, length))
        return -1;
    if (scan->whole != NULL && tally_count(scan->whole, &object, 1))
        return -1;
    return count_cuts(scan, cuts);
}

/* Count what was found when a part of an open object was cut, and carry its end. */
SHOWN int scan_count_part(struct scan *scan, const uint8_t *cuts, const uint8_t *data, int64_t length)
{
    if (count_cuts(scan, cuts))
        return -1;
    for (struct grain *grain = scan->grain; grain < scan->grain + scan->grains; grain++) {
        const struct cuts *const found = (const struct cuts *)(const void *)cuts;

        if (carry(&grain->carried, data, length, found->left_bytes))
            return -1;
        cuts += cuts_bytes(found);
    }
    return 0;
}

/* Count a whole object that came in parts. */
SHOWN int scan_count_whole(struct scan *scan, int64_t length, uint64_t first, uint64_t second)
{
    const struct chunk object = {(uint64_t)length, first, second};

    return scan->whole != NULL && tally_count(scan->whole, &object, 1) ? -1 : 0;
}

/* What a grain carries of the open object; its length is written. */
SHOWN const uint8_t *scan_carried(const struct scan *scan, int64_t number, int64_t *length)
{
    *length = scan->grain[number].carried.used;
    return scan->grain[number].carried.memory;
}

/* Go on with a part of the stream that has no distances to what was before it. */
SHOWN void scan_begin_part(struct scan *scan)
{
    if (scan->whole != NULL)
        tally_begin_part(scan->whole);
    for (struct grain *grain = scan->grain; grain < scan->grain + scan->grains; grain++)
        if (grain->tally != NULL)
            tally_begin_part(grain->tally);
}
