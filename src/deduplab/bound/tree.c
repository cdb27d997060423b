/* The files of a folder and of those below it, with their lengths, many by one call.
 *
 * What is not plain is left to the caller, who says why something is left out: the files of a folder
 * in which there are others than regular ones of one name; and all of a folder that can't be read, or
 * whose file system does not say what is in it.
 */
#if !defined(_WIN32)
#define _GNU_SOURCE /* fdopendir(), fstatat(), d_type */
#include "room.h"
#include "shown.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLAIN, APART = -1, UNREAD = -2 };

struct entry {
    const char *name;
    int64_t length; /* -1 of a folder */
};

/* Python reads the numbers that stand first (native.py): what the last call has listed. */
struct tree {
    const char *names; /* of files, folder by folder, in order; each ends with a zero */
    int64_t names_bytes;
    const int64_t *lengths;
    int64_t files;
    const char *paths; /* of folders, each ends with a zero */
    int64_t paths_bytes;
    const int64_t *counts; /* how many files each has; or APART, UNREAD */
    int64_t folders;
    int64_t waits; /* how many folders are to come, not counting those in them */
    struct room names_room, lengths_room, paths_room, counts_room, read, entries;
    char **waiting; /* paths of folders to come, the next one last */
    int64_t most_waits;
};

static int append(struct room *room, const void *what, int64_t bytes)
{
    void *const place = room_space(room, bytes);

    if (place == NULL)
        return -1;
    memcpy(place, what, (size_t)bytes);
    room->used += bytes;
    return 0;
}

static int by_name(const void *one, const void *other)
{
    return strcmp(((const struct entry *)one)->name, ((const struct entry *)other)->name);
}

/* Let a folder come next: its path is that of another one and a name. */
static int push(struct tree *tree, const char *path, const char *name)
{
    const size_t length = strlen(path), more = strlen(name);
    const int slash = length > 0 && *name != '\0' && path[length - 1] != '/';
    char *const joined = malloc(length + more + 2);

    if (joined == NULL)
        return -1;
    memcpy(joined, path, length);
    joined[length] = '/';
    memcpy(joined + length + slash, name, more + 1);
    if (tree->waits == tree->most_waits) {
        const int64_t most = 2 * tree->most_waits + 16;
        char **const waiting = realloc(tree->waiting, (size_t)most * sizeof *waiting);

        if (waiting == NULL) {
            free(joined);
            return -1;
        }
        tree->waiting = waiting;
        tree->most_waits = most;
    }
    tree->waiting[tree->waits++] = joined;
    return 0;
}

/* Read the names of a folder, each behind a byte that says whether it is a folder's. Return how many;
 * -1 if there is no memory. */
static int64_t read_names(struct tree *tree, DIR *folder, int *state)
{
    int64_t count = 0;
    const struct dirent *found;

    tree->read.used = 0;
    for (errno = 0; (found = readdir(folder)) != NULL; errno = 0) {
        const char *const name = found->d_name;
        const char kind = found->d_type == DT_DIR ? 'd' : 'f';

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (found->d_type == DT_UNKNOWN)
            *state = UNREAD;
        else if (found->d_type != DT_DIR && found->d_type != DT_REG)
            *state = *state == PLAIN ? APART : *state;
        else if (append(&tree->read, &kind, 1) || append(&tree->read, name, (int64_t)strlen(name) + 1))
            return -1;
        else
            count++;
    }
    if (errno != 0)
        *state = UNREAD;
    return count;
}

/* Make entries of the names that were read, sorted; files are looked at for their lengths. */
static struct entry *entries_of(struct tree *tree, int folder, int64_t count, int *state)
{
    const char *next = (const char *)tree->read.memory;
    struct entry *entries;

    tree->entries.used = 0;
    entries = room_space(&tree->entries, (count + 1) * (int64_t)sizeof *entries);
    for (int64_t number = 0; entries != NULL && number < count; number++) {
        struct entry *const entry = entries + number;
        struct stat found = {0};

        if (*next == 'f' && *state == PLAIN &&
            (fstatat(folder, next + 1, &found, AT_SYMLINK_NOFOLLOW) != 0 ||
             !S_ISREG(found.st_mode) || found.st_nlink != 1))
            *state = APART;
        *entry = (struct entry){next + 1, *next == 'f' ? (int64_t)found.st_size : -1};
        next = entry->name + strlen(entry->name) + 1;
    }
    if (entries != NULL)
        qsort(entries, (size_t)count, sizeof *entries, by_name);
    return entries;
}

/* Write down the files of a folder, and let the folders in it come next. */
static int list_entries(struct tree *tree, const char *path, const struct entry *entries,
                        int64_t count, int state)
{
    int64_t files = 0;

    for (const struct entry *entry = entries; entry < entries + count && state == PLAIN; entry++) {
        if (entry->length < 0)
            continue;
        if (append(&tree->names_room, entry->name, (int64_t)strlen(entry->name) + 1) ||
            append(&tree->lengths_room, &entry->length, sizeof entry->length))
            return -1;
        files++;
    }
    for (const struct entry *entry = entries + count; entry-- > entries && state != UNREAD;)
        if (entry->length < 0 && push(tree, path, entry->name))
            return -1;
    tree->files += files;
    tree->folders++;
    files = state == PLAIN ? files : state;
    return append(&tree->paths_room, path, (int64_t)strlen(path) + 1) ||
                   append(&tree->counts_room, &files, sizeof files)
               ? -1
               : 0;
}

static int list_folder(struct tree *tree, const char *path)
{
    const int number = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *const folder = number < 0 ? NULL : fdopendir(number);
    int64_t count = 0;
    int state = folder == NULL ? UNREAD : PLAIN, failed;
    const struct entry *entries;

    if (folder != NULL)
        count = read_names(tree, folder, &state);
    entries = count < 0 ? NULL : entries_of(tree, number, count, &state);
    failed = entries == NULL || list_entries(tree, path, entries, count, state);
    if (folder != NULL)
        closedir(folder);
    else if (number >= 0)
        close(number);
    return failed ? -1 : 0;
}

SHOWN void tree_free(struct tree *tree)
{
    struct room *rooms[] = {&tree->names_room,  &tree->lengths_room, &tree->paths_room,
                            &tree->counts_room, &tree->read,         &tree->entries};

    for (size_t number = 0; number < sizeof rooms / sizeof *rooms; number++)
        free(rooms[number]->memory);
    while (tree->waits > 0)
        free(tree->waiting[--tree->waits]);
    free(tree->waiting);
    free(tree);
}

/* Begin with a folder; NULL if there is no memory. */
SHOWN struct tree *tree_new(const char *path)
{
    struct tree *const tree = calloc(1, sizeof *tree);

    if (tree != NULL && push(tree, path, "")) {
        tree_free(tree);
        return NULL;
    }
    return tree;
}

/* Give half of the folders to come, and what is in them, to another tree: those that come last. NULL if
 * there is no memory. */
SHOWN struct tree *tree_split(struct tree *tree)
{
    struct tree *const other = calloc(1, sizeof *other);
    const int64_t given = tree->waits / 2;

    if (other == NULL)
        return NULL;
    other->waiting = malloc((size_t)given * sizeof *other->waiting + 1);
    if (other->waiting == NULL) {
        free(other);
        return NULL;
    }
    memcpy(other->waiting, tree->waiting, (size_t)given * sizeof *tree->waiting);
    other->waits = other->most_waits = given;
    tree->waits -= given;
    memmove(tree->waiting, tree->waiting + given, (size_t)tree->waits * sizeof *tree->waiting);
    return other;
}

/* List the next folders, in order, until there are so many and files of them: those in a folder come
 * behind it, before what comes behind that. Return how many; 0 if there are none any more, -1 if there
 * is no memory. */
SHOWN int64_t tree_next(struct tree *tree, int64_t most)
{
    tree->names_room.used = tree->lengths_room.used = 0;
    tree->paths_room.used = tree->counts_room.used = 0;
    tree->files = tree->folders = 0;
    while (tree->waits > 0 && tree->files + tree->folders < most) {
        char *const path = tree->waiting[--tree->waits];
        const int failed = list_folder(tree, path);

        free(path);
        if (failed)
            return -1;
    }
    tree->names = (const char *)tree->names_room.memory;
    tree->names_bytes = tree->names_room.used;
    tree->lengths = (const int64_t *)(const void *)tree->lengths_room.memory;
    tree->paths = (const char *)tree->paths_room.memory;
    tree->paths_bytes = tree->paths_room.used;
    tree->counts = (const int64_t *)(const void *)tree->counts_room.memory;
    return tree->folders;
}
#endif
