/* A scan of one stream: what scan.c counts, and cutting.c cuts. */
#ifndef DEDUPLAB_SCAN_H
#define DEDUPLAB_SCAN_H

#include "room.h"
#include "tally.h"

#include <stddef.h>
#include <stdint.h>

struct hash {
    uint64_t low;
    uint64_t high;
};

typedef struct hash (*hash_function)(const void *data, size_t length);

struct grain {
    int64_t size;         /* of a block, or the average of a content-defined chunk */
    int64_t average_bits; /* 0 for blocks of one size */
    int64_t never_cut;    /* objects up to this length are one chunk */
    int64_t most;         /* no chunk is longer */
    struct tally *tally;  /* NULL as long as no object was long enough: then it is the whole's */
    struct room carried;  /* of an open object: what may go on in its next part */
};

/* Of one grain; its chunks follow. */
struct cuts {
    int64_t chunks;
    int64_t left_bytes; /* at the end of a part: they wait for what follows */
};

struct scan {
    hash_function hash;
    struct tally *whole; /* NULL when no grain needs it any more */
    int64_t keeps_whole;
    int64_t grains;
    struct grain *grain;
    struct room cuts;
    struct room objects;
    struct room marks;
    struct room joined;
    struct room picked;
    int64_t marked; /* how many marks there are; -1 if there are too many, or none is needed */
};

/* The functions below that need memory return -1, or NULL, where there is none. */

/* Bytes as one chunk: their length and their fingerprint. */
struct chunk chunk_of(const struct scan *scan, const uint8_t *data, int64_t length);

/* How many bytes cuts take, their chunks included. */
int64_t cuts_bytes(const struct cuts *cuts);

/* Find the marks of data, which are then those of the scan, if any grain needs them that cuts objects
 * of a length. */
int cutting_mark(struct scan *scan, const uint8_t *data, int64_t length, int64_t longest);

/* Cut objects at one grain, the empty ones left out, behind what was cut before. `objects` are their
 * chunks as a whole, or NULL. */
int cutting_objects(struct scan *scan, const struct grain *grain, const uint8_t *data,
                    const int64_t *begins, const int64_t *ends, const struct chunk *objects,
                    int64_t first, int64_t stop);

/* Cut the next part of an open object at one grain, as far as its cuts are certain. */
int cutting_part(struct scan *scan, const struct grain *grain, const uint8_t *data, int64_t length,
                 int final);

/* Find nothing at a grain. */
int cutting_nothing(struct scan *scan);

#endif
