/* Many small files read one behind the other into memory, by one call. */
#if !defined(_WIN32)
#define _GNU_SOURCE /* O_NOFOLLOW, openat() */
#include "shown.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Read one file, and return its length; -1 if it needs more care than this: if it can't be read, is
 * no regular file, has a second name, does not fit, or changes meanwhile. */
static int64_t read_file(int folder, const char *name, uint8_t *room, int64_t room_bytes,
                         int64_t flags, int64_t linked_once)
{
    const int file = openat(folder, name, (int)flags);
    int64_t count = -1;
    struct stat state;

    if (file < 0)
        return -1;
    if (fstat(file, &state) == 0 && S_ISREG(state.st_mode) && state.st_size < room_bytes &&
        (state.st_nlink == 1 || !linked_once)) {
        /* With room for a byte more than there is, a read that brings no more met the end. */
        count = read(file, room, (size_t)room_bytes);
        if (count != state.st_size)
            count = -1;
    }
    close(file);
    return count;
}

/* Read files of a folder, whose names follow each other and end with a zero each, until one needs
 * more care or there is less room than `least_room`. Write where each ends, from `filled` on, and how
 * many bytes of names were used; return how many files were read. */
SHOWN int64_t files_read(int64_t folder, const char *names, int64_t files, uint8_t *room,
                         int64_t room_bytes, int64_t filled, int64_t least_room, int64_t flags,
                         int64_t linked_once, int64_t *ends, int64_t *names_bytes)
{
    const char *name = names;
    int64_t number = 0;

    for (; number < files && room_bytes - filled >= least_room; number++) {
        const int64_t count = read_file((int)folder, name, room + filled, room_bytes - filled,
                                        flags, linked_once);

        if (count < 0)
            break;
        filled += count;
        ends[number] = filled;
        name += strlen(name) + 1;
    }
    *names_bytes = name - names;
    return number;
}
#endif
