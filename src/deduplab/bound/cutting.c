/* Objects, and parts of open ones, cut at one grain: the lengths and the hashes of their chunks. */
#include "gear.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

/* Room for this many times more marks than random data has; what has more is not marked. */
#define BYTES_PER_MARK 64
#define LEAST_MARKS 64

/* Where an object, or what is to be cut of it, lies; `marks` are those of the data, or NULL. */
struct piece {
    const uint8_t *data;
    int64_t begin;
    int64_t stop;
    const struct mark *marks;
    int64_t marked;
};

static uint64_t swapped(uint64_t value)
{
    uint64_t found = 0;

    for (int byte = 0; byte < 8; byte++)
        found |= (value >> (8 * byte) & 255) << (56 - 8 * byte);
    return found;
}

struct chunk chunk_of(const struct scan *scan, const uint8_t *data, int64_t length)
{
    const struct hash hash = scan->hash(data, (size_t)length);

    /* A fingerprint is the canonical digest, highest byte first, read as little-endian halves. */
    return (struct chunk){(uint64_t)length, swapped(hash.high), swapped(hash.low)};
}

static int64_t end_of_chunk(const struct grain *grain, const struct piece *piece, int64_t begin,
                            int64_t *next)
{
    if (grain->average_bits == 0)
        return piece->stop - begin < grain->size ? piece->stop : begin + grain->size;
    if (piece->marks == NULL)
        return gear_end(piece->data, begin, piece->stop, grain->average_bits);
    return gear_marked_end(piece->data, begin, piece->stop, grain->average_bits, piece->marks,
                           piece->marked, next);
}

/* Write the chunks of an object, and return how many. There is space for `length / least + 1`. */
static int64_t cut(const struct scan *scan, const struct grain *grain, const struct piece *piece,
                   int64_t *next, struct chunk *chunks)
{
    const struct chunk *const first = chunks;

    for (int64_t begin = piece->begin, end; begin < piece->stop; begin = end) {
        end = end_of_chunk(grain, piece, begin, next);
        *chunks++ = chunk_of(scan, piece->data + begin, end - begin);
    }
    return chunks - first;
}

int cutting_mark(struct scan *scan, const uint8_t *data, int64_t length, int64_t longest)
{
    const int64_t most = length / BYTES_PER_MARK + LEAST_MARKS;
    struct mark *marks;
    int needed = 0;

    for (const struct grain *grain = scan->grain; grain < scan->grain + scan->grains; grain++)
        needed |= grain->average_bits != 0 && longest > grain->never_cut;
    scan->marked = -1;
    if (!needed || length == 0)
        return 0;
    marks = room_space(&scan->marks, most * (int64_t)sizeof *marks);
    if (marks == NULL)
        return -1;
    scan->marked = gear_marks(data, length, marks, most);
    return 0;
}

static const struct mark *marks_of(const struct scan *scan)
{
    return scan->marked < 0 ? NULL : (const struct mark *)(const void *)scan->marks.memory;
}

/* Begin the cuts of a grain, with space for so many chunks. */
static struct cuts *begin_cuts(struct scan *scan, int64_t most_chunks)
{
    struct cuts *cuts =
        room_space(&scan->cuts, (int64_t)sizeof *cuts + most_chunks * (int64_t)sizeof(struct chunk));

    if (cuts != NULL)
        *cuts = (struct cuts){0, 0};
    return cuts;
}

static struct chunk *chunks_of(struct cuts *cuts)
{
    return (struct chunk *)(void *)(cuts + 1);
}

int64_t cuts_bytes(const struct cuts *cuts)
{
    return (int64_t)sizeof *cuts + cuts->chunks * (int64_t)sizeof(struct chunk);
}

int cutting_objects(struct scan *scan, const struct grain *grain, const uint8_t *data,
                    const int64_t *begins, const int64_t *ends, const struct chunk *objects,
                    int64_t first, int64_t stop)
{
    const int64_t base = begins[first];
    const int64_t least = grain->average_bits ? grain->size / 4 : grain->size;
    const struct mark *const marks = marks_of(scan);
    struct cuts *const cuts =
        begin_cuts(scan, (ends[stop - 1] - base) / least + stop - first);
    struct chunk *chunks;
    int64_t next = 0, object = 0;

    if (cuts == NULL)
        return -1;
    chunks = chunks_of(cuts);
    for (int64_t number = first; number < stop; number++) {
        const int64_t length = ends[number] - begins[number];
        const struct piece piece = {data + base, begins[number] - base, ends[number] - base, marks,
                                    scan->marked};

        if (length == 0)
            continue;
        if (length <= grain->never_cut && objects != NULL)
            chunks[cuts->chunks++] = objects[object];
        else
            cuts->chunks += cut(scan, grain, &piece, &next, chunks + cuts->chunks);
        object++;
    }
    scan->cuts.used += cuts_bytes(cuts);
    return 0;
}

int cutting_nothing(struct scan *scan)
{
    struct cuts *const cuts = begin_cuts(scan, 0);

    if (cuts == NULL)
        return -1;
    scan->cuts.used += cuts_bytes(cuts);
    return 0;
}

int cutting_part(struct scan *scan, const struct grain *grain, const uint8_t *data, int64_t length,
                 int final)
{
    const int64_t carried = grain->carried.used;
    const int64_t least = grain->average_bits ? grain->size / 4 : grain->size;
    const int all = carried > 0 && length <= grain->most;
    const int64_t bridge = all ? length : length < grain->most ? length : grain->most;
    struct cuts *const cuts = begin_cuts(scan, (carried + length) / least + 2);
    struct chunk *chunks;
    struct piece piece = {data, 0, length, marks_of(scan), scan->marked};
    int64_t next = 0;

    if (cuts == NULL)
        return -1;
    chunks = chunks_of(cuts);
    if (carried > 0) {
        uint8_t *joined;

        scan->joined.used = 0;
        joined = room_space(&scan->joined, carried + bridge);
        if (joined == NULL)
            return -1;
        memcpy(joined, grain->carried.memory, (size_t)carried);
        if (bridge > 0)
            memcpy(joined + carried, data, (size_t)bridge);
        if (all) {
            piece = (struct piece){joined, 0, carried + bridge, NULL, 0};
        } else {
            const struct piece front = {joined, 0, carried + bridge, NULL, 0};
            int64_t begin = 0;

            while (begin < carried) {
                const int64_t end = end_of_chunk(grain, &front, begin, &next);

                chunks[cuts->chunks++] = chunk_of(scan, joined + begin, end - begin);
                begin = end;
            }
            piece.begin = begin - carried;
        }
    }
    if (piece.begin < piece.stop) {
        cuts->chunks += cut(scan, grain, &piece, &next, chunks + cuts->chunks);
        if (!final && chunks[cuts->chunks - 1].length < (uint64_t)grain->most)
            cuts->left_bytes = (int64_t)chunks[--cuts->chunks].length;
    }
    scan->cuts.used += cuts_bytes(cuts);
    return 0;
}
