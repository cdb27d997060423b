/* Cut random data at random averages for some time, and compare with a byte at a time.
 *
 *     cc -std=c11 -g -O1 -fsanitize=address,undefined -o fuzz_gear tests/fuzz/fuzz_gear.c
 *     ./fuzz_gear SECONDS
 *
 * Every buffer is as long as what lies in it, so that the sanitizers see each byte beside it.
 */
#include "../../src/deduplab/bound/gear.c"

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
            data[at] = kind == 0                                 ? 0
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

static void check(int64_t length)
{
    uint8_t *data = malloc((size_t)length);
    int64_t most = below(8) ? length / 8 + 64 : below(length + 1);
    struct mark *marks = malloc((size_t)most * sizeof *marks);

    fill(data, length);
    int64_t count = gear_marks(data, length, marks, most);
    for (int bits = LEAST_AVERAGE_BITS; count >= 0 && bits < 17; bits++) {
        int64_t begin = below(4) ? 0 : below(length + 1), at = begin;
        int64_t room = (length - begin) / ((int64_t)1 << (bits - 2)) + 1;
        int64_t *lengths = malloc((size_t)room * sizeof *lengths);
        int64_t chunks = gear_cuts(data, begin, length, marks, count, bits, lengths);

        for (int64_t number = 0; number < chunks; number++) {
            if (lengths[number] != plain_cut(data + at, length - at, bits)) {
                fprintf(stderr, "another cut: seed %llu\n", (unsigned long long)state);
                abort();
            }
            at += lengths[number];
        }
        if (at != length)
            abort();
        free(lengths);
    }
    free(marks);
    free(data);
}

int main(int count, char **words)
{
    const time_t stop = time(NULL) + (count > 1 ? atoi(words[1]) : 60);
    long long calls = 0;

    state = (uint64_t)time(NULL);
    for (; time(NULL) < stop; calls++)
        check(1 + below(below(4) ? 60000 : 1000000));
    printf("nothing found: %lld buffers\n", calls);
    return 0;
}
