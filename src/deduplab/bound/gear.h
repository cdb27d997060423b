/* Where content-defined chunks end: FastCDC 2020, normalised chunking at level 1. */
#ifndef DEDUPLAB_GEAR_H
#define DEDUPLAB_GEAR_H

#include <stdint.h>

/* Averages are powers of two: 4 KiB to 4 MiB. */
#define GEAR_LEAST_AVERAGE_BITS 12
#define GEAR_GREATEST_AVERAGE_BITS 22

/* A place where a cut may be at some average, and the hash there. */
struct mark {
    uint64_t place;
    uint64_t hash;
};

/* Write the marks of data in ascending order, and return how many; -1 if a fourth of `most` is
 * not enough for a fourth of the data. Of a place below 47 the hash is that from the data's begin
 * on. */
int64_t gear_marks(const uint8_t *data, int64_t length, struct mark *marks, int64_t most);

/* Where the chunk ends that begins at a place; its object ends at `stop`. */
int64_t gear_end(const uint8_t *data, int64_t begin, int64_t stop, int64_t average_bits);

/* The same, given all marks of the data. `*next` is the number of one in front of which none is of
 * use any more, and is moved on: chunks must be sought in ascending order. */
int64_t gear_marked_end(const uint8_t *data, int64_t begin, int64_t stop, int64_t average_bits,
                        const struct mark *marks, int64_t count, int64_t *next);

#endif
