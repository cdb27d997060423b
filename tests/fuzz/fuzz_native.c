/* Cut, hash and count random data for some time, and compare with a byte and a chunk at a time.
 *
 *     cc -std=c11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
 *         -o fuzz_native tests/fuzz/fuzz_native.c
 *     ./fuzz_native SECONDS [SEED]
 *
 * Every buffer is as long as what lies in it, so that the sanitizers see each byte beside it.
 * What fails prints a seed; with it the same comes first.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How many requests for memory succeed before one fails; none fails while it is negative. */
static int64_t granted = -1;

static int refused(void)
{
    return granted >= 0 && granted-- == 0;
}

static void *granted_malloc(size_t size)
{
    return refused() ? NULL : malloc(size);
}

static void *granted_calloc(size_t count, size_t size)
{
    return refused() ? NULL : calloc(count, size);
}

static void *granted_realloc(void *memory, size_t size)
{
    return refused() ? NULL : realloc(memory, size);
}

#define malloc granted_malloc
#define calloc granted_calloc
#define realloc granted_realloc
#include "../../src/deduplab/bound/closed.c"
#include "../../src/deduplab/bound/cutting.c"
#include "../../src/deduplab/bound/figures.c"
#include "../../src/deduplab/bound/files.c"
#include "../../src/deduplab/bound/gear.c"
#include "../../src/deduplab/bound/picked.c"
#include "../../src/deduplab/bound/scan.c"
#include "../../src/deduplab/bound/tally.c"
#undef malloc
#undef calloc
#undef realloc

static uint64_t state, seed;
static int crowded; /* whether fingerprints begin with few different halves */

static uint64_t mixed(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static uint64_t drawn(void)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    return mixed(state);
}

static int64_t below(int64_t limit)
{
    return (int64_t)(drawn() % (uint64_t)limit);
}

static void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s: seed %llu\n", what, (unsigned long long)seed);
        abort();
    }
}

/* Memory for just so much; of nothing, NULL, as Python hands it over. */
static void *room(int64_t count, size_t each)
{
    void *found = count ? malloc((size_t)count * each) : NULL;

    must(count == 0 || found != NULL, "no memory");
    return found;
}

static void *copy_of(const void *data, int64_t length)
{
    void *found = room(length, 1);

    if (length)
        memcpy(found, data, (size_t)length);
    return found;
}

/* A period with a mark in it: data that repeats it has more marks than there is room for. */
static uint8_t marked_period[20];

static void find_marked_period(void)
{
    uint64_t hash;

    do {
        hash = 0;
        for (int at = 0; at < 20; at++)
            marked_period[at] = (uint8_t)drawn();
        for (int at = 0; at < 80; at++)
            hash = (hash << 1) + GEAR[marked_period[at % 20]];
    } while (hash & COMMON);
}

/* Fill with stretches of noise, of one byte, of short periods, and of too many marks. */
static void fill(uint8_t *data, int64_t length)
{
    for (int64_t at = 0; at < length;) {
        int64_t stop = at + 1 + below(length), period = 1 + below(300), begin = at;
        int kind = (int)below(5);

        for (; at < stop && at < length; at++)
            data[at] = kind == 0                           ? 0
                       : kind == 1 && at >= begin + period ? data[at - period]
                       : kind == 2                         ? marked_period[at % 20]
                                                           : (uint8_t)drawn();
    }
}

static int64_t plain_cut(const uint8_t *data, int64_t length, int64_t bits)
{
    const int64_t average = (int64_t)1 << bits;
    const uint64_t *mask = MASKS + (bits - GEAR_LEAST_AVERAGE_BITS);
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

/* Stands for the hash that is handed over: it reads every byte. */
static struct hash plain_hash(const void *data, size_t length)
{
    uint64_t low = length, high = 0;

    for (size_t at = 0; at < length; at++) {
        low = low * 31 + ((const uint8_t *)data)[at];
        high ^= low << (at % 13);
    }
    low = mixed(low);
    high = mixed(high + low);
    return (struct hash){low, crowded ? __builtin_bswap64((high % 5) << 62 | (high % 3)) : high};
}

static struct chunk plain_chunk(const uint8_t *data, int64_t length)
{
    const struct hash hash = plain_hash(data, (size_t)length);

    return (struct chunk){(uint64_t)length, __builtin_bswap64(hash.high),
                          __builtin_bswap64(hash.low)};
}

/* Chunks in their order; a length of 0 stands for the begin of a part. */
struct list {
    struct chunk *chunks;
    int64_t count;
    int64_t size;
};

static void note(struct list *list, struct chunk chunk)
{
    if (list->count == list->size) {
        list->size = 2 * list->size + 64;
        list->chunks = realloc(list->chunks, (size_t)list->size * sizeof chunk);
        must(list->chunks != NULL, "no memory");
    }
    list->chunks[list->count++] = chunk;
}

static int bits_of(uint64_t value)
{
    int bits = 0;

    while (bits < 64 && value >> bits)
        bits++;
    return bits;
}

static int plain_bin(uint64_t value)
{
    int shift = 0;

    value = value < (UINT64_C(1) << 53) ? value : (UINT64_C(1) << 53) - 1;
    while (value >> shift >= 32)
        shift++;
    return (int)(value >> shift) + 16 * shift;
}

static void check_figures(const struct tally *tally, const struct row *rows, int64_t count)
{
    static const int percents[] = {1, 10, 25, 50, 75, 90, 99};
    struct figures found, expected = {.unique_chunks = (uint64_t)count};
    wide squares = 0;

    must(tally_figures(tally, &found) == 0, "no figures");
    must(found.unique_chunks == expected.unique_chunks, "other unique chunks");
    for (const struct row *row = rows; row < rows + count; row++) {
        expected.unique_bytes += row->length;
        squares += (wide)row->length * row->length;
        expected.lengths[bits_of(row->length)]++;
        expected.copies[row->count < 16 ? row->count : 16 + (uint64_t)bits_of(row->count)]++;
    }
    must(found.unique_bytes == expected.unique_bytes, "other unique bytes");
    must(((wide)found.squares_high << 64 | found.squares_low) == squares, "other squares");
    must(!memcmp(found.lengths, expected.lengths, sizeof found.lengths), "other lengths");
    must(!memcmp(found.copies, expected.copies, sizeof found.copies), "other copies");
    for (int which = 0; which < PERCENTILES; which++) {
        int64_t less = 0, up_to = 0;

        for (const struct row *row = rows; row < rows + count; row++) {
            less += row->length < found.percentiles[which];
            up_to += row->length <= found.percentiles[which];
        }
        must(count ? 100 * up_to >= percents[which] * count && 100 * less < percents[which] * count
                   : found.percentiles[which] == 0,
             "another percentile");
    }
}

/* Compare with a list that is looked through from its begin for each chunk. */
static void check_tally(struct tally *tally, const struct list *list, int64_t most_rows,
                        int64_t halvings)
{
    struct row *rows = room(list->count + 1, sizeof *rows);
    uint64_t *distances = calloc(DISTANCE_BINS, sizeof *distances), chunks = 0, end = 0, part = 0;
    uint64_t *first, *second, *lengths, *counts;
    int64_t count = 0;

    must(distances != NULL, "no memory");
    for (const struct chunk *chunk = list->chunks; chunk < list->chunks + list->count; chunk++) {
        int64_t at = 0;

        if (chunk->length == 0) {
            part = end;
            continue;
        }
        chunks++;
        end += chunk->length;
        if (halvings && chunk->first >> (64 - halvings))
            continue;
        while (at < count && (rows[at].first != chunk->first || rows[at].second != chunk->second))
            at++;
        if (at < count) {
            if (rows[at].last_end > part)
                distances[plain_bin(end - chunk->length - rows[at].last_end)] +=
                    UINT64_C(1) << halvings;
            rows[at].count++;
            rows[at].last_end = end;
            continue;
        }
        rows[count++] = (struct row){chunk->first, chunk->second, chunk->length, 1, end};
        while (most_rows && count > most_rows) {
            int64_t kept = 0;

            halvings++;
            for (at = 0; at < count; at++)
                if (rows[at].first >> (64 - halvings) == 0)
                    rows[kept++] = rows[at];
            count = kept;
        }
    }
    must(tally->chunks == chunks && tally->logical_bytes == end, "other chunks or bytes");
    must(tally->used == count && tally->halvings == halvings, "other rows or halvings");
    must(!memcmp(tally->distances, distances, sizeof tally->distances), "other distances");
    first = room(count, 8);
    second = room(count, 8);
    lengths = room(count, 8);
    counts = room(count, 8);
    must(tally_close(tally) == 0, "not closed");
    tally_columns(tally, first, second, lengths, counts);
    for (int64_t row = 0; row < count; row++) {
        int64_t at = 0;

        must(row == 0 || first[row - 1] < first[row] ||
                 (first[row - 1] == first[row] && second[row - 1] < second[row]),
             "rows are not sorted");
        while (at < count && (rows[at].first != first[row] || rows[at].second != second[row]))
            at++;
        must(at < count && rows[at].length == lengths[row] && rows[at].count == counts[row],
             "another row");
    }
    check_figures(tally, rows, count);
    free(rows);
    free(distances);
    free(first);
    free(second);
    free(lengths);
    free(counts);
}

/* Count chunks in two exact tallies, and compare what comes of both with one that counted all. */
static void check_absorbing(const struct tally *all, const struct list *list)
{
    const int64_t place = below(list->count + 1);
    struct tally *one = tally_new(0, 0), *other = tally_new(0, 0);
    struct figures expected, found;
    struct row *rows;

    must(one != NULL && other != NULL, "no memory");
    for (int64_t at = 0; at < list->count; at++)
        if (list->chunks[at].length != 0)
            must(tally_count(at < place ? one : other, list->chunks + at, 1) == 0, "not counted");
    must(tally_close(other) == 0, "not closed");
    rows = copy_of(tally_rows(other), other->used * (int64_t)sizeof *rows);
    must(tally_absorb(one, other, rows) == 0, "not absorbed");
    must(tally_figures(all, &expected) == 0, "no figures");
    must(tally_figures(one, &found) == 0, "no figures");
    must(!memcmp(&found, &expected, sizeof found), "other figures before they are merged");
    must(tally_settle(one) == 0, "not merged");
    free(rows);
    must(tally_figures(one, &found) == 0, "no figures");
    must(!memcmp(&found, &expected, sizeof found), "other figures when they are merged");
    must(one->used == all->used && one->chunks == all->chunks, "other rows or chunks");
    for (int64_t row = 0; row < all->used; row++)
        must(one->rows[row].first == all->rows[row].first &&
                 one->rows[row].second == all->rows[row].second &&
                 one->rows[row].length == all->rows[row].length &&
                 one->rows[row].count == all->rows[row].count,
             "another row");
    tally_free(one);
    tally_free(other);
}

/* Count chunks with chosen fingerprints, some calls of them with a copy of the tally. */
static void check_counting(void)
{
    const int64_t most_rows = below(2) ? 0 : 1 + below(400), halvings = most_rows ? below(4) : 0;
    const int64_t kinds = 1 + below(below(3) ? 60 : 3000), calls = 1 + below(8);
    struct tally *tally = tally_new(most_rows, halvings);
    struct list list = {0};

    must(tally != NULL, "no memory");
    for (int64_t call = 0; call < calls; call++) {
        const int64_t count = below(1200);
        struct chunk *chunks = room(count, sizeof *chunks);

        for (int64_t at = 0; at < count; at++) {
            const uint64_t kind = (uint64_t)below(kinds);

            chunks[at].length = kind % 7 == 0 ? 1 + kind : 1 + (mixed(kind) >> (20 + kind % 44));
            /* A sample of many chunks with one half could not keep its limit. */
            chunks[at].first = most_rows || kind % 3 ? mixed(kind) : 0 - kind % 2;
            chunks[at].second = kind;
            note(&list, chunks[at]);
        }
        must(tally_count(tally, chunks, count) == 0, "not counted");
        free(chunks);
        if (below(4) == 0) {
            tally_begin_part(tally);
            note(&list, (struct chunk){0, 0, 0});
        }
        if (below(4) == 0) {
            struct tally *copy = tally_copy(tally);

            must(copy != NULL, "no memory");
            tally_free(tally);
            tally = copy;
        }
    }
    check_tally(tally, &list, most_rows, halvings);
    if (!most_rows)
        check_absorbing(tally, &list);
    tally_free(tally);
    free(list.chunks);
}

/* Find the chunks of data from any place on, with marks and without. */
static void check_marks(void)
{
    const int64_t length = 1 + below(below(4) ? 60000 : 1000000);
    const int64_t most = below(8) ? length / 8 + 64 : below(length + 1);
    uint8_t *data = room(length, 1);
    struct mark *marks = room(most, sizeof *marks);
    int64_t count;

    fill(data, length);
    count = gear_marks(data, length, marks, most);
    for (int64_t at = 1; at < count; at++)
        must(marks[at - 1].place < marks[at].place, "marks do not ascend");
    for (int64_t bits = GEAR_LEAST_AVERAGE_BITS; bits <= GEAR_GREATEST_AVERAGE_BITS; bits++) {
        int64_t next = 0;

        for (int64_t at = below(4) ? 0 : below(length); at < length;) {
            const int64_t stop = below(3) ? length : at + 1 + below(length - at);
            const int64_t end = at + plain_cut(data + at, stop - at, bits);

            must(gear_end(data, at, stop, bits) == end, "another cut");
            must(count < 0 || gear_marked_end(data, at, stop, bits, marks, count, &next) == end,
                 "another cut by marks");
            at = end;
        }
    }
    free(marks);
    free(data);
}

enum { MOST_GRAINS = 4, MOST_OBJECTS = 40 };

/* A scan, and what it must find: of each grain, and last of whole objects. */
struct check {
    struct scan *scan;
    int64_t grains;
    int64_t most_rows;
    int64_t halvings;
    int64_t sizes[MOST_GRAINS];
    int64_t bits[MOST_GRAINS];
    int64_t never_cut[MOST_GRAINS];
    int64_t most[MOST_GRAINS];
    struct list lists[MOST_GRAINS + 1];
};

static struct check new_check(void)
{
    struct check check = {.grains = below(MOST_GRAINS + 1)};

    crowded = below(4) == 0;
    check.most_rows = crowded || below(2) ? 0 : 1 + below(100);
    check.halvings = check.most_rows ? below(4) : 0;
    for (int64_t number = 0; number < check.grains; number++) {
        check.bits[number] = below(3) ? GEAR_LEAST_AVERAGE_BITS + below(5) : 0;
        check.sizes[number] =
            check.bits[number] ? (int64_t)1 << check.bits[number] : 300 + below(100000);
        check.never_cut[number] = check.sizes[number] / (check.bits[number] ? 4 : 1);
        check.most[number] = check.sizes[number] * (check.bits[number] ? 4 : 1);
    }
    check.scan = scan_new(plain_hash, check.grains, check.sizes, check.bits, check.never_cut,
                          check.most, check.grains == 0 || below(2), check.most_rows,
                          check.halvings);
    return check;
}

static void free_check(struct check *check)
{
    for (int64_t number = 0; number <= MOST_GRAINS; number++)
        free(check->lists[number].chunks);
    scan_free(check->scan);
}

/* Note what an object must add. */
static void expect_object(struct check *check, const uint8_t *data, int64_t length)
{
    if (length == 0)
        return;
    note(check->lists + MOST_GRAINS, plain_chunk(data, length));
    for (int64_t number = 0; number < check->grains; number++) {
        const int64_t bits = check->bits[number], size = check->sizes[number];

        for (int64_t at = 0, part; at < length; at += part) {
            part = bits                  ? plain_cut(data + at, length - at, bits)
                   : length - at < size ? length - at
                                        : size;
            note(check->lists + number, plain_chunk(data + at, part));
        }
    }
}

/* What was found, in memory that ends with it. */
static uint8_t *found_cuts(struct check *check, int64_t bytes)
{
    int64_t at = 0;
    uint8_t *cuts = copy_of(scan_cuts(check->scan), bytes);

    for (int64_t number = 0; number < check->grains; number++) {
        const struct cuts *found = (const struct cuts *)(const void *)(cuts + at);

        must(found->left_bytes < check->most[number], "more is left than a chunk");
        at += cuts_bytes(found);
    }
    must(at == bytes, "another number of bytes");
    return cuts;
}

/* Draw a thinning for each grain; -1 for those from which nothing is picked. */
static void draw_thinnings(struct check *check, int64_t *thinnings)
{
    for (int64_t number = 0; number < check->grains; number++)
        thinnings[number] = below(4) ? below(20) : -1;
}

/* How many chunks there are to pick. */
static int64_t kept(const struct chunk *chunks, int64_t count, int64_t thinning)
{
    int64_t found = 0;

    for (int64_t number = 0; thinning >= 0 && number < count; number++)
        found += (wide)chunks[number].first << thinning < (wide)chunks[number].length << 64;
    return found;
}

static int64_t kept_of_cuts(struct check *check, const uint8_t *cuts, const int64_t *thinnings)
{
    int64_t found = 0;

    for (int64_t number = 0; number < check->grains; number++) {
        const struct cuts *each = (const struct cuts *)(const void *)cuts;

        found += kept((const struct chunk *)(const void *)(each + 1), each->chunks,
                      thinnings[number]);
        cuts += cuts_bytes(each);
    }
    return found;
}

/* What was picked is where it is said to lie; `data` may have what was carried in front of it. */
static void check_picked(struct check *check, const uint8_t *data, int64_t count, int64_t must_be)
{
    const struct picked *picked = scan_picked(check->scan);

    must(count == must_be, "another number was picked");
    for (; count > 0; count--, picked++) {
        must(picked->grain >= -1 && picked->grain < check->grains, "picked of no grain");
        must(picked->first == plain_chunk(data + picked->begin, picked->length).first,
             "something else lies where a chunk was picked");
    }
}

/* Pick from one object, or from a part before it is counted. */
static int pick_from(struct check *check, const uint8_t *cuts, const uint8_t *data, int is_part)
{
    int64_t thinnings[MOST_GRAINS], count;

    draw_thinnings(check, thinnings);
    count = scan_pick_cuts(check->scan, cuts, is_part, thinnings);
    if (count >= 0)
        check_picked(check, data, count, kept_of_cuts(check, cuts, thinnings));
    return count < 0 ? -1 : 0;
}

/* Pick from the objects that were just taken. */
static int pick_from_objects(struct check *check, const uint8_t *data, const int64_t *begins,
                             const int64_t *ends, int64_t first, int64_t stop)
{
    const int64_t whole = scan_tally(check->scan, -1) && below(2) ? below(20) : -1;
    int64_t thinnings[MOST_GRAINS], count, objects = 0, must_be;

    draw_thinnings(check, thinnings);
    for (int64_t number = first; number < stop; number++)
        objects += ends[number] > begins[number];
    count = scan_pick_objects(check->scan, begins, ends, first, stop, whole, thinnings);
    if (count < 0)
        return -1;
    must_be = objects == 0 ? 0
                           : kept(scan_hashed(check->scan), objects, whole) +
                                 kept_of_cuts(check, scan_cuts(check->scan), thinnings);
    check_picked(check, data, count, must_be);
    return 0;
}

static int add_long(struct check *check, const uint8_t *data, int64_t length)
{
    uint8_t *alone = copy_of(data, length), *cuts;
    const struct chunk whole = plain_chunk(data, length);
    const int64_t bytes = scan_cut(check->scan, alone, length, 0, 1);
    int result;

    if (bytes < 0) {
        free(alone);
        return -1;
    }
    cuts = found_cuts(check, bytes);
    result = scan_count_object(check->scan, cuts, length, whole.first, whole.second);
    result = result ? result : pick_from(check, cuts, alone, 0);
    free(alone);
    free(cuts);
    return result;
}

/* Add objects that lie in ascending order within data, some of them apart, some empty. */
static int add_objects(struct check *check)
{
    const int64_t length = below(below(4) ? 30000 : 300000);
    const int64_t long_bytes = below(2) ? INT64_MAX : 1 + below(length + 1);
    int64_t *begins = room(MOST_OBJECTS, 8), *ends = room(MOST_OBJECTS, 8), objects = 0, at;
    uint8_t *data = room(length, 1);
    uint64_t *known = NULL;

    fill(data, length);
    for (at = below(4) ? 0 : below(length + 1); objects < MOST_OBJECTS && below(30); objects++) {
        begins[objects] = at;
        if (below(5) && at < length)
            at += 1 + below(below(3) ? length - at : 1 + (length - at) / 50);
        ends[objects] = at;
        at += below(2) || at == length ? 0 : below(length - at < 100 ? length - at : 100);
    }
    /* Short, so that what is beyond is seen. */
    begins = realloc(begins, (size_t)objects * 8 + !objects);
    ends = realloc(ends, (size_t)objects * 8 + !objects);
    must(begins != NULL && ends != NULL, "no memory");
    if (below(2)) {
        known = room(2 * objects, 8);
        for (int64_t number = 0; number < objects; number++) {
            const struct chunk whole =
                plain_chunk(data + begins[number], ends[number] - begins[number]);

            known[2 * number] = whole.first;
            known[2 * number + 1] = whole.second;
        }
    }
    at = 0;
    while (at >= 0 && at < objects) {
        int64_t taken =
            scan_objects(check->scan, data, begins, ends, known, at, objects, long_bytes);

        for (int64_t number = at; number < taken; number++) {
            must(ends[number] - begins[number] < long_bytes, "a long object was taken");
            expect_object(check, data + begins[number], ends[number] - begins[number]);
        }
        if (taken >= 0 && pick_from_objects(check, data, begins, ends, at, taken))
            taken = -1;
        if (taken >= 0 && taken < objects) {
            const int64_t size = ends[taken] - begins[taken];

            must(size >= long_bytes, "an object was not taken");
            expect_object(check, data + begins[taken], size);
            taken = add_long(check, data + begins[taken], size) ? -1 : taken + 1;
        }
        at = taken;
    }
    free(begins);
    free(ends);
    free(known);
    free(data);
    return at < 0 ? -1 : 0;
}

static int add_part(struct check *check, const uint8_t *data, int64_t length, int final)
{
    uint8_t *part = copy_of(data, length), *cuts;
    const int64_t bytes = scan_cut(check->scan, part, length, 1, final);
    int result = -1;

    if (bytes >= 0) {
        int64_t at = 0;

        cuts = found_cuts(check, bytes);
        result = pick_from(check, cuts, data, 1);
        result = result ? result : scan_count_part(check->scan, cuts, part, length);
        for (int64_t number = 0; result == 0 && number < check->grains; number++) {
            const struct cuts *found = (const struct cuts *)(const void *)(cuts + at);
            int64_t carried_bytes;
            const uint8_t *carried = scan_carried(check->scan, number, &carried_bytes);

            must(carried_bytes == found->left_bytes, "another length is carried");
            must(carried_bytes == 0 ||
                     !memcmp(carried, data + length - carried_bytes, (size_t)carried_bytes),
                 "other bytes are carried");
            at += cuts_bytes(found);
        }
        free(cuts);
    }
    free(part);
    return result;
}

/* Add an object that comes in parts, some of them empty. */
static int add_open(struct check *check)
{
    const int64_t length = below(below(4) ? 60000 : 400000), parts = 1 + below(6);
    uint8_t *data = room(length, 1);
    struct chunk whole = plain_chunk(data, 0);
    int64_t at = 0;
    int result = scan_expect(check->scan, INT64_MAX);

    fill(data, length);
    for (int64_t part = 1; result == 0 && part <= parts; part++) {
        const int final = part == parts;
        const int64_t left = length - at;
        const int64_t taken = final ? left : below(3) ? below(left + 1) : below(left / 20 + 1);

        /* What is carried lies in front of the part, so it can be compared there. */
        result = add_part(check, data + at, taken, final);
        at += taken;
    }
    if (result == 0 && length > 0) {
        whole = plain_chunk(data, length);
        result = scan_count_whole(check->scan, length, whole.first, whole.second);
    }
    expect_object(check, data, length);
    free(data);
    return result;
}

static int add_something(struct check *check)
{
    switch (below(5)) {
    case 0:
    case 1:
        return add_objects(check);
    case 2:
    case 3:
        return add_open(check);
    default:
        scan_begin_part(check->scan);
        for (int64_t number = 0; number <= MOST_GRAINS; number++)
            note(check->lists + number, (struct chunk){0, 0, 0});
        return 0;
    }
}

static void check_scan(void)
{
    struct check check = new_check();

    must(check.scan != NULL, "no memory");
    for (int64_t steps = 1 + below(5); steps > 0; steps--)
        must(add_something(&check) == 0, "not added");
    for (int64_t number = -1; number < check.grains; number++) {
        struct tally *tally = scan_tally(check.scan, number);
        const struct list *list = check.lists + (number < 0 ? MOST_GRAINS : number);

        /* A grain that has no tally never cut anything. */
        must(number < 0 || tally != NULL || scan_tally(check.scan, -1) != NULL, "no tally");
        tally = tally == NULL ? scan_tally(check.scan, -1) : tally;
        if (tally != NULL)
            check_tally(tally, list, check.most_rows, check.halvings);
    }
    free_check(&check);
}

/* Where memory is refused, that is said, and nothing is lost or used further. */
static void check_refusal(void)
{
    struct check check;

    granted = below(60);
    check = new_check();
    for (int64_t steps = check.scan == NULL ? 0 : 1 + below(5); steps > 0; steps--)
        if (add_something(&check))
            break;
    granted = -1;
    free_check(&check);
}

/* Files of a folder are read until one needs more care. */
static void check_files(void)
{
    enum { FILES = 12 };
    char folder[] = "/tmp/fuzz_native.XXXXXX", names[FILES * 24], *name = names;
    int64_t sizes[FILES], files = 1 + below(FILES), filled, least, expected = 0, read_count;
    int64_t room_bytes = below(30000), linked_once = below(2), *ends = room(files, 8);
    int64_t names_bytes, expected_names = 0, number, at;
    uint8_t *memory = room(room_bytes, 1), *before;
    int directory;

    must(mkdtemp(folder) != NULL, "no folder");
    directory = open(folder, O_RDONLY | O_DIRECTORY);
    must(directory >= 0, "no folder");
    for (number = 0; number < files; number++, name += strlen(name) + 1) {
        const int64_t kind = below(16);
        char other[32];
        int file;

        snprintf(name, 24, "\xff%d\n%.*s", (int)number, (int)below(12), "abcdefghijkl");
        snprintf(other, sizeof other, "other %d", (int)number);
        sizes[number] = kind < 4 ? -1 : below(3) ? below(3000) : below(2) ? 0 : below(40000);
        if (kind == 0)
            must(mkdirat(directory, name, 0700) == 0, "no folder");
        else if (kind == 1)
            must(symlinkat(below(2) ? name : ".", directory, name) == 0, "no link");
        if (kind < 3)
            continue;
        file = openat(directory, name, O_WRONLY | O_CREAT, 0600);
        must(file >= 0, "no file");
        if (kind == 3) {
            must(linkat(directory, name, directory, other, 0) == 0, "no link");
            sizes[number] = linked_once ? -1 : 0;
        }
        for (int64_t byte = 0; byte < sizes[number]; byte += 2500) {
            uint8_t part[2500];
            const int64_t left = sizes[number] - byte;

            for (int place = 0; place < 2500; place++)
                part[place] = (uint8_t)(number + (byte + place) * 7);
            must(write(file, part, left < 2500 ? (size_t)left : 2500) > 0, "not written");
        }
        close(file);
    }
    filled = room_bytes ? below(room_bytes) / (1 + below(9)) : 0;
    least = below(3) ? 1 : 1 + below(3000);
    if (room_bytes)
        memset(memory, 255, (size_t)room_bytes);
    before = copy_of(memory, room_bytes);
    name = copy_of(names, name - names);
    read_count = files_read(directory, name, files, memory, room_bytes, filled, least,
                            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, linked_once, ends,
                            &names_bytes);
    for (at = filled; expected < files && room_bytes - at >= least && sizes[expected] >= 0 &&
                      sizes[expected] < room_bytes - at;
         expected++) {
        for (int64_t byte = 0; byte < sizes[expected]; byte++)
            before[at + byte] = (uint8_t)(expected + byte * 7);
        at += sizes[expected];
        must(expected < read_count && ends[expected] == at, "a file is missing, or ends elsewhere");
        expected_names += (int64_t)strlen(name + expected_names) + 1;
    }
    must(read_count == expected && names_bytes == expected_names, "another number of files");
    must(at == 0 || !memcmp(memory, before, (size_t)at), "other bytes");
    close(directory);
    snprintf(names, sizeof names, "rm -r %s", folder);
    must(system(names) == 0, "not cleaned");
    free(name);
    free(memory);
    free(before);
    free(ends);
}

int main(int count, char **words)
{
    const time_t stop = time(NULL) + (count > 1 ? atoi(words[1]) : 60);
    long long rounds = 0;

    seed = count > 2 ? strtoull(words[2], NULL, 10) : (uint64_t)time(NULL);
    do {
        state = seed;
        find_marked_period();
        check_marks();
        check_counting();
        check_scan();
        check_refusal();
        if (rounds % 20 == 0)
            check_files();
        seed = drawn();
        rounds++;
    } while (time(NULL) < stop);
    printf("nothing found: %lld rounds\n", rounds);
    return 0;
}
