/* Makes files below one folder as slow as those of a network share: loaded with LD_PRELOAD.
 *
 * SLOW_FOLDER is the folder (absolute), SLOW_MS what one round trip to the server takes. Opening
 * costs a round trip, and so does every megabyte begun of what is read: clients fetch ahead so much
 * at once. Asking for a file's facts costs none: servers send them with the list of a folder.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 4096, MEGABYTE = 1 << 20 };

static char slow[FILES];
static off_t taken[FILES];
static const char *folder;
static struct timespec trip;

__attribute__((constructor)) static void start(void) {
    const char *ms = getenv("SLOW_MS");
    double seconds = ms ? atof(ms) / 1000 : 0;
    folder = getenv("SLOW_FOLDER");
    trip.tv_sec = (time_t)seconds;
    trip.tv_nsec = (long)((seconds - (double)trip.tv_sec) * 1e9);
}

static void wait_for_server(void) {
    struct timespec left = trip;
    while (nanosleep(&left, &left)) {
    }
}

static int opened(int file, const char *path) {
    if (file >= 0 && file < FILES) {
        slow[file] = folder && path && strncmp(path, folder, strlen(folder)) == 0;
        taken[file] = 0;
        if (slow[file]) wait_for_server();
    }
    return file;
}

static int mode_of(int flags, va_list more) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0;
}

#define OPEN(name)                                                             \
    int name(const char *path, int flags, ...) {                               \
        static int (*real)(const char *, int, ...);                            \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                  \
        va_list more;                                                          \
        va_start(more, flags);                                                 \
        int mode = mode_of(flags, more);                                       \
        va_end(more);                                                          \
        return opened(real(path, flags, mode), path);                          \
    }

#define OPENAT(name)                                                           \
    int name(int at, const char *path, int flags, ...) {                       \
        static int (*real)(int, const char *, int, ...);                       \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                  \
        va_list more;                                                          \
        va_start(more, flags);                                                 \
        int mode = mode_of(flags, more);                                       \
        va_end(more);                                                          \
        return opened(real(at, path, flags, mode), path);                      \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t read(int file, void *buffer, size_t count) {
    static ssize_t (*real)(int, void *, size_t);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "read");
    ssize_t got = real(file, buffer, count);
    if (got > 0 && file >= 0 && file < FILES && slow[file]) {
        off_t before = (taken[file] + MEGABYTE - 1) / MEGABYTE;
        taken[file] += got;
        off_t after = (taken[file] + MEGABYTE - 1) / MEGABYTE;
        for (; before < after; before++) wait_for_server();
    }
    return got;
}
