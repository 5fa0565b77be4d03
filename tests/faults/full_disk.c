/* A disk that is full from a given call on, for whatever happens below one folder.
 *
 * Loaded before the C library (LD_PRELOAD), it stands between Python and the system: every call
 * that needs room is counted, and after disk_set(folder, room) all but the first `room` of them
 * fail with ENOSPC. The first write that fails has still written half of its bytes, as on a real
 * disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char below[4096];
static long room, calls;

void disk_set(const char *folder, long calls_that_succeed)
{
    strncpy(below, folder, sizeof below - 1);
    room = calls_that_succeed;
    calls = 0;
}

long disk_calls(void) { return calls; }

static int full(const char *path)
{
    if (!below[0] || strncmp(path, below, strlen(below)) != 0) return 0;
    if (++calls <= room) return 0;
    errno = ENOSPC;
    return 1;
}

static int full_file(int file)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return full(path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                     \
    int name(const char *path, int flags, ...)                         \
    {                                                                  \
        va_list rest;                                                  \
        va_start(rest, flags);                                         \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;      \
        va_end(rest);                                                  \
        if (flags & O_CREAT && full(path)) return -1;                  \
        return NEXT(name)(path, flags, mode);                          \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                   \
    int name(int folder, const char *path, int flags, ...)             \
    {                                                                  \
        va_list rest;                                                  \
        va_start(rest, flags);                                         \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;      \
        va_end(rest);                                                  \
        if (flags & O_CREAT && full(path)) return -1;                  \
        return NEXT(name)(folder, path, flags, mode);                  \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *bytes, size_t count)
{
    if (full_file(file)) {
        if (calls == room + 1 && count > 1) return NEXT(write)(file, bytes, count / 2);
        return -1;
    }
    return NEXT(write)(file, bytes, count);
}

int fsync(int file) { return full_file(file) ? -1 : NEXT(fsync)(file); }
int fdatasync(int file) { return full_file(file) ? -1 : NEXT(fdatasync)(file); }
int ftruncate(int file, off_t size) { return full_file(file) ? -1 : NEXT(ftruncate)(file, size); }
int ftruncate64(int file, off64_t size)
{
    return full_file(file) ? -1 : NEXT(ftruncate64)(file, size);
}
int mkdir(const char *path, mode_t mode) { return full(path) ? -1 : NEXT(mkdir)(path, mode); }
int rename(const char *from, const char *to) { return full(to) ? -1 : NEXT(rename)(from, to); }
