/* Chunks of objects that lie in one piece of data: blocks of one size, and the digests of any chunks.
 *
 * The hash is not ours: it is XXH3-128 as the package xxhash brings it, handed over as a pointer.
 */
#include "shown.h"

#include <stdint.h>
#include <string.h>

#define DIGEST_BYTES 16

struct hash {
    uint64_t low;
    uint64_t high;
};

typedef struct hash (*hash_function)(const void *data, size_t length);

/* In the canonical order of XXH3: the highest byte first. */
static void write_digest(uint8_t *digest, struct hash hash)
{
    for (int byte = 0; byte < 8; byte++) {
        digest[byte] = (uint8_t)(hash.high >> (56 - 8 * byte));
        digest[8 + byte] = (uint8_t)(hash.low >> (56 - 8 * byte));
    }
}

/* Cut objects into blocks of one size, of which the last of an object may be shorter. Write the
 * lengths of the blocks, at most size / block_bytes + 1 of them for an object, and how many each
 * object has. Return how many these are in all. */
SHOWN int64_t fixed_cuts(const int64_t *sizes, int64_t objects, int64_t block_bytes,
                         int64_t *lengths, int64_t *counts)
{
    int64_t chunks = 0;

    for (int64_t number = 0; number < objects; number++) {
        const int64_t before = chunks;

        for (int64_t left = sizes[number]; left > 0; left -= block_bytes)
            lengths[chunks++] = left < block_bytes ? left : block_bytes;
        counts[number] = chunks - before;
    }
    return chunks;
}

/* Write the digest of each chunk. Objects begin at these places of the data, and have so many chunks
 * each. Of an object that is one chunk the digest is known already, unless `known` is null. Return how
 * many were written. */
SHOWN int64_t chunk_digests(hash_function hash, const uint8_t *data, const int64_t *begins,
                            const int64_t *counts, int64_t objects, const int64_t *lengths,
                            const uint8_t *known, uint8_t *digests)
{
    const uint8_t *const first = digests;

    for (int64_t number = 0; number < objects; number++) {
        const uint8_t *chunk = data + begins[number];

        if (counts[number] == 1 && known != NULL) {
            memcpy(digests, known + number * DIGEST_BYTES, DIGEST_BYTES);
            digests += DIGEST_BYTES;
            lengths++;
            continue;
        }
        for (int64_t left = counts[number]; left > 0; left--) {
            write_digest(digests, hash(chunk, (size_t)*lengths));
            digests += DIGEST_BYTES;
            chunk += *lengths++;
        }
    }
    return (digests - first) / DIGEST_BYTES;
}
