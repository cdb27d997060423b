/* Memory that is used again and again: it only grows. */
#ifndef DEDUPLAB_ROOM_H
#define DEDUPLAB_ROOM_H

#include <stdint.h>
#include <stdlib.h>

struct room {
    uint8_t *memory;
    int64_t size;
    int64_t used;
};

/* Memory for so many bytes behind what is used; NULL if there is none. */
static inline void *room_space(struct room *room, int64_t more)
{
    if (room->used + more > room->size) {
        const int64_t size = room->used + more + (room->used + more) / 4 + 64;
        uint8_t *memory = realloc(room->memory, (size_t)size);

        if (memory == NULL)
            return NULL;
        room->memory = memory;
        room->size = size;
    }
    return room->memory + room->used;
}

#endif
