/* Cut, hash and count random data for some time, and compare with a byte and a chunk at a time.
 *
 *     cc -std=c11 -g -O1 -fsanitize=address,undefined -o fuzz_native tests/fuzz/fuzz_native.c
 *     ./fuzz_native SECONDS
 *
 * Every buffer is as long as what lies in it, so that the sanitizers see each byte beside it.
 */
#include "../../src/deduplab/bound/chunks.c"
#include "../../src/deduplab/bound/gear.c"
#include "../../src/deduplab/bound/rows.c"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t state;

static uint64_t drawn(void)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = (state ^ (state >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static int64_t below(int64_t limit)
{
    return (int64_t)(drawn() % (uint64_t)limit);
}

/* Fill with stretches of noise, of one byte, and of short periods. */
static void fill(uint8_t *data, int64_t length)
{
    for (int64_t at = 0; at < length;) {
        int64_t stop = at + 1 + below(length), period = 1 + below(300), begin = at;
        int kind = (int)below(4);

        for (; at < stop && at < length; at++)
            data[at] = kind == 0                                  ? 0
                       : kind == 1 && at >= begin + period ? data[at - period]
                                                                  : (uint8_t)drawn();
    }
}

static int64_t plain_cut(const uint8_t *data, int64_t length, int bits)
{
    const int64_t average = (int64_t)1 << bits;
    const uint64_t *mask = MASKS + (bits - LEAST_AVERAGE_BITS);
    int64_t end = length < 4 * average ? length : 4 * average;
    uint64_t hash = 0;

    if (length <= average / 4)
        return length;
    for (int64_t at = average / 4; at < end - end % 2; at++) {
        hash = (hash << 1) + GEAR[data[at]];
        if ((hash & (at < average ? mask[2] : mask[0])) == 0)
            return at;
    }
    return end;
}

static void *room(int64_t count, size_t each)
{
    void *found = malloc((size_t)count * each + (count == 0));

    if (found == NULL)
        abort();
    return found;
}

static void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s: seed %llu\n", what, (unsigned long long)state);
        abort();
    }
}

/* Stands for the hash that is handed over: it reads every byte. */
static struct hash plain_hash(const void *data, size_t length)
{
    struct hash hash = {length, 0};

    for (size_t at = 0; at < length; at++) {
        hash.low = hash.low * 31 + ((const uint8_t *)data)[at];
        hash.high ^= hash.low << (at % 13);
    }
    return hash;
}

/* Objects in ascending order within the data, some of them next to each other, none empty. */
static int64_t objects_in(int64_t length, int64_t *begins, int64_t *sizes, int64_t most)
{
    int64_t objects = 0;

    for (int64_t at = below(4) ? 0 : below(length); at < length && objects < most; objects++) {
        begins[objects] = at;
        sizes[objects] = 1 + below(below(3) ? length - at : 1 + (length - at) / 50);
        at += sizes[objects] + (below(2) ? 0 : below(100));
    }
    return objects;
}

static void check_digests(const uint8_t *data, const int64_t *begins, const int64_t *counts,
                          int64_t objects, const int64_t *lengths, int64_t chunks)
{
    uint8_t *known = room(objects, DIGEST_BYTES), *digests = room(chunks, DIGEST_BYTES);
    int known_too = below(2) == 0;
    int64_t chunk = 0;

    memset(known, 7, (size_t)objects * DIGEST_BYTES);
    must(chunk_digests(plain_hash, data, begins, counts, objects, lengths,
                       known_too ? known : NULL, digests) == chunks,
         "another number of digests");
    for (int64_t number = 0; number < objects; number++) {
        int64_t at = begins[number];

        for (int64_t left = counts[number]; left > 0; left--, at += lengths[chunk++]) {
            uint8_t digest[DIGEST_BYTES];

            write_digest(digest, plain_hash(data + at, (size_t)lengths[chunk]));
            must(!memcmp(digests + chunk * DIGEST_BYTES,
                         known_too && counts[number] == 1 ? known : digest, DIGEST_BYTES),
                 "another digest");
        }
    }
    free(known);
    free(digests);
}

/* bits: of the average; or 0 for blocks of `block` bytes. */
static void check_cuts(const uint8_t *data, int64_t length, const struct mark *marks, int64_t count,
                       int bits, int64_t block)
{
    enum { MOST = 40 };
    int64_t *begins = room(MOST, 8), *sizes = room(MOST, 8), *counts, *lengths;
    int64_t objects = objects_in(length, begins, sizes, 1 + below(MOST)), most = objects, chunk = 0;
    int64_t least = bits ? (int64_t)1 << (bits - 2) : block, chunks;

    for (int64_t number = 0; number < objects; number++)
        most += sizes[number] / least;
    counts = room(objects, 8);
    lengths = room(most, 8);
    chunks = bits ? gear_cuts(data, begins, sizes, objects, marks, count, bits, lengths, counts)
                  : fixed_cuts(sizes, objects, block, lengths, counts);
    for (int64_t number = 0; number < objects; number++) {
        int64_t at = begins[number], stop = at + sizes[number];

        for (int64_t left = counts[number]; left > 0; left--) {
            int64_t expected = bits ? plain_cut(data + at, stop - at, bits)
                                    : (stop - at < block ? stop - at : block);

            must(lengths[chunk] == expected, "another cut");
            at += lengths[chunk++];
        }
        must(at == stop, "another end");
    }
    must(chunk == chunks, "another number of chunks");
    check_digests(data, begins, counts, objects, lengths, chunks);
    free(begins);
    free(sizes);
    free(counts);
    free(lengths);
}

static void check(int64_t length)
{
    uint8_t *data = room(length, 1);
    int64_t most = below(8) ? length / 8 + 64 : below(length + 1);
    struct mark *marks = room(most, sizeof *marks);
    int64_t count;

    fill(data, length);
    count = gear_marks(data, length, marks, most);
    for (int bits = LEAST_AVERAGE_BITS; count >= 0 && bits < 17; bits++)
        check_cuts(data, length, marks, count, bits, 0);
    check_cuts(data, length, NULL, 0, 0, 1 + below(100000));
    must(gear_cuts(data, NULL, NULL, 0, marks, 0, 11, NULL, NULL) == -1, "an average too small");
    must(gear_cuts(data, NULL, NULL, 0, marks, 0, 23, NULL, NULL) == -1, "an average too large");
    free(marks);
    free(data);
}

/* Count few distinct chunks often, in a table that has hardly more slots than these. */
static void check_rows(void)
{
    enum { CHUNKS = 400, KINDS = 60 };
    uint64_t first[CHUNKS], second[CHUNKS], lengths[CHUNKS], ends[CHUNKS], gaps[CHUNKS];
    int64_t kinds = 1 + below(KINDS), slots = kinds + 1 + below(20), chunks = 1 + below(CHUNKS);
    int64_t halvings = below(41), expected_gaps = 0, news = 0, written = -1, used = 0;
    struct row *rows = calloc((size_t)slots, sizeof *rows);
    struct row *wider = calloc((size_t)slots * 2, sizeof *wider);
    uint64_t at = 0, behind = (uint64_t)below(5000);

    if (rows == NULL || wider == NULL)
        abort();
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        uint64_t kind = (uint64_t)below(kinds);

        first[chunk] = kind % 3 ? (kind << 58) >> halvings : UINT64_MAX >> halvings;
        second[chunk] = kind;
        lengths[chunk] = kind + 1;
        ends[chunk] = at += kind + 1;
    }
    news = rows_count(rows, slots, halvings, first, second, lengths, ends, chunks, behind, gaps,
                      &written);
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        int64_t before = chunk - 1, again = chunk + 1;

        while (before >= 0 && second[before] != second[chunk])
            before--;
        while (again < chunks && second[again] != second[chunk])
            again++;
        used += again == chunks;
        if (before >= 0 && ends[before] > behind)
            must(gaps[expected_gaps++] == ends[chunk] - lengths[chunk] - ends[before], "a gap");
    }
    must(news == used && written == expected_gaps, "another number of rows or gaps");
    must(rows_move(rows, slots, wider, slots * 2, halvings) == used, "another number of rows");
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        struct row *row = slot_of(wider, (uint64_t)slots * 2, (int)halvings, first[chunk],
                                  second[chunk]);

        must(row->count > 0 && row->length == lengths[chunk], "a row is lost");
    }
    free(rows);
    free(wider);
}

int main(int count, char **words)
{
    const time_t stop = time(NULL) + (count > 1 ? atoi(words[1]) : 60);
    long long calls = 0;

    state = (uint64_t)time(NULL);
    for (; time(NULL) < stop; calls++) {
        check(1 + below(below(4) ? 60000 : 1000000));
        check_rows();
    }
    printf("nothing found: %lld buffers\n", calls);
    return 0;
}
