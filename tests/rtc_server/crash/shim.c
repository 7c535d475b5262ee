// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// Records all that a process does to the files of one directory, and lets chosen calls fail. For LD_PRELOAD (ld.so(8)):
// Python's log and SQLite both reach the kernel by the functions of glibc that are defined anew here.
//
// One lock is held over each call and its record, so that the trace is a true order of what happened, also with threads.
// The record's layout is struct record, then the first path, the second path and the bytes; trace.py reads it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "offsets have 64 bits");

enum op { OPEN = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, LINK, SYMLINK, MKDIR, ALLOCATE, MAP, CLOSE, DUP, RANGE, MARK, UNSEEN, OPS };
enum mode { BEFORE = 1, AFTER, SHORT };

struct record {
  uint32_t op;
  int32_t fd, flags, error;
  int64_t offset, result;
  uint32_t path, other, data, mode;  // lengths of what follows; how the call was made to fail, or 0
};

static char root[PATH_MAX];
static size_t root_length;
static int trace = -1;
static char tracked[1 << 16];  // by descriptor
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// --- faults -------------------------------------------------------------------------------------------------------

static struct { int op, error, mode, lasting; long nth, seen, fired; } fault;
static long counts[OPS];

// The n-th call of a kind (from 1; op 0: of any) fails from now on; `lasting`: all later ones do, too, until rtc_disarm.
void rtc_arm(int op, long nth, int error, int mode, int lasting) {
  pthread_mutex_lock(&lock);
  memset(&fault, 0, sizeof fault);
  memset(counts, 0, sizeof counts);
  fault.op = op, fault.nth = nth, fault.error = error, fault.mode = mode, fault.lasting = lasting;
  pthread_mutex_unlock(&lock);
}

long rtc_disarm(void) {
  pthread_mutex_lock(&lock);
  long fired = fault.fired;
  memset(&fault, 0, sizeof fault);
  pthread_mutex_unlock(&lock);
  return fired;
}

long rtc_fired(void) { return fault.fired; }
long rtc_count(int op) { return counts[op]; }

// Whether this call is to fail, and how (enum mode).
static int fails(int op) {
  counts[op]++;
  if (!fault.mode || (fault.op && fault.op != op)) return 0;
  fault.seen++;
  if (fault.lasting ? fault.seen < fault.nth : fault.seen != fault.nth) return 0;
  fault.fired++;
  return fault.mode;
}

// --- records ------------------------------------------------------------------------------------------------------

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void put(const void *bytes, size_t size) {
  REAL(ssize_t, "write", int, const void *, size_t);
  for (const char *at = bytes; size;) {
    ssize_t done = real(trace, at, size);
    if (done <= 0) abort();  // an incomplete trace would prove nothing
    at += done, size -= done;
  }
}

static void record(struct record r, const char *path, const char *other, const void *data) {
  if (trace < 0) return;
  int saved = errno;
  r.path = path ? strlen(path) : 0, r.other = other ? strlen(other) : 0;
  put(&r, sizeof r);
  put(path, r.path), put(other, r.other), put(data, r.data);
  errno = saved;
}

void rtc_mark(const char *text, size_t size) {
  pthread_mutex_lock(&lock);
  record((struct record){.op = MARK, .fd = -1, .data = size}, NULL, NULL, text);
  pthread_mutex_unlock(&lock);
}

// Record what happens below `directory` (a canonical path) from now on, in the file `name`, which must be outside of it.
int rtc_start(const char *directory, const char *name) {
  REAL(int, "open", const char *, int, ...);
  pthread_mutex_lock(&lock);
  if (trace >= 0) syscall(SYS_close, trace);
  root_length = strlen(directory);
  memcpy(root, directory, root_length + 1);
  memset(tracked, 0, sizeof tracked);
  memset(counts, 0, sizeof counts);
  trace = real(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  pthread_mutex_unlock(&lock);
  return trace;
}

void rtc_stop(void) {
  pthread_mutex_lock(&lock);
  if (trace >= 0) syscall(SYS_close, trace);
  trace = -1;
  pthread_mutex_unlock(&lock);
}

// --- whose call it is ---------------------------------------------------------------------------------------------

static int ours(int fd) { return trace >= 0 && fd >= 0 && fd < (int)sizeof tracked && tracked[fd]; }

// The path below the directory in `found`; 0 when it is elsewhere. Programs under test use absolute paths or descriptors.
static int below(int at, const char *path, char *found) {
  char full[PATH_MAX * 2];
  if (trace < 0 || !path) return 0;
  if (path[0] == '/') {
    snprintf(full, sizeof full, "%s", path);
  } else {
    char link[64], base[PATH_MAX];
    snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
    ssize_t size = readlink(link, base, sizeof base - 1);
    if (size < 0) return 0;
    base[size] = 0;
    snprintf(full, sizeof full, "%s/%s", base, path);
  }
  if (strncmp(full, root, root_length)) return 0;
  if (full[root_length] && full[root_length] != '/') return 0;
  const char *rest = full + root_length;
  while (*rest == '/') rest++;
  snprintf(found, PATH_MAX, "%s", rest);
  return 1;
}

static void track(int fd, char value) {
  if (fd >= (int)sizeof tracked) abort();
  if (fd >= 0) tracked[fd] = value;
}

#define BEGIN pthread_mutex_lock(&lock)
#define END(value) do { int saved_ = errno; pthread_mutex_unlock(&lock); errno = saved_; return value; } while (0)
// Do the call or let it fail; `result` and errno are as the caller will see them.
#define CALL(kind, call) \
  int mode = fails(kind); \
  long result = -1; \
  if (mode != BEFORE) result = (call); \
  if (mode == BEFORE || (mode && result >= 0)) errno = fault.error, result = -1; \
  int error = result < 0 ? errno : 0

// --- files --------------------------------------------------------------------------------------------------------

static int opened(int at, const char *path, int flags, mode_t permissions) {
  static int (*real)(int, const char *, int, ...);
  if (!real) real = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
  char found[PATH_MAX];
  BEGIN;
  if (!below(at, path, found)) END(real(at, path, flags, permissions));
  int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
  int mode = writes ? fails(OPEN) : 0, fd = -1;
  if (mode == BEFORE || mode == SHORT) {
    errno = fault.error;
  } else {
    fd = real(at, path, flags, permissions);
    if (mode && fd >= 0) { syscall(SYS_close, fd); fd = -1; errno = fault.error; }
  }
  int error = fd < 0 ? errno : 0;
  track(fd, 1);
  record((struct record){.op = OPEN, .fd = fd, .flags = flags, .error = error, .result = fd, .mode = mode}, found, NULL, NULL);
  errno = error;
  END(fd);
}

#define OPENING(name, declared, at, path, flags) \
  int name declared { \
    mode_t permissions = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); permissions = va_arg(list, mode_t); va_end(list); } \
    return opened(at, path, flags, permissions); \
  }
OPENING(open, (const char *path, int flags, ...), AT_FDCWD, path, flags)
OPENING(open64, (const char *path, int flags, ...), AT_FDCWD, path, flags)
OPENING(openat, (int at, const char *path, int flags, ...), at, path, flags)
OPENING(openat64, (int at, const char *path, int flags, ...), at, path, flags)
int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
  REAL(int, "close", int);
  BEGIN;
  if (ours(fd)) {
    track(fd, 0);
    record((struct record){.op = CLOSE, .fd = fd}, NULL, NULL, NULL);
  }
  END(real(fd));
}

static void doubled(int fd, int copy) {
  if (!ours(fd)) { if (copy >= 0) track(copy, 0); return; }
  track(copy, 1);
  record((struct record){.op = DUP, .fd = fd, .result = copy, .error = copy < 0 ? errno : 0}, NULL, NULL, NULL);
}
int dup(int fd) { REAL(int, "dup", int); BEGIN; int copy = real(fd); doubled(fd, copy); END(copy); }
int dup2(int fd, int to) { REAL(int, "dup2", int, int); BEGIN; int copy = real(fd, to); doubled(fd, copy); END(copy); }
int dup3(int fd, int to, int f) { REAL(int, "dup3", int, int, int); BEGIN; int copy = real(fd, to, f); doubled(fd, copy); END(copy); }

static int controlled(int fd, int command, long argument) {
  REAL(int, "fcntl64", int, int, ...);
  if (command != F_DUPFD && command != F_DUPFD_CLOEXEC) return real(fd, command, argument);
  BEGIN;
  int result = real(fd, command, argument);
  doubled(fd, result);
  END(result);
}
int fcntl(int fd, int command, ...) {
  va_list list; va_start(list, command); long argument = va_arg(list, long); va_end(list);
  return controlled(fd, command, argument);
}
int fcntl64(int fd, int command, ...) {
  va_list list; va_start(list, command); long argument = va_arg(list, long); va_end(list);
  return controlled(fd, command, argument);
}

// --- bytes --------------------------------------------------------------------------------------------------------

// `offset` -1: at the descriptor's own.
static ssize_t written(int fd, const void *data, size_t size, off_t offset) {
  static ssize_t (*at)(int, const void *, size_t, off_t);
  static ssize_t (*here)(int, const void *, size_t);
  if (!at) at = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
  if (!here) here = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  BEGIN;
  if (!ours(fd)) END(offset < 0 ? here(fd, data, size) : at(fd, data, size, offset));
  int mode = fails(WRITE);
  size_t some = mode == SHORT ? size / 2 & ~(size_t)511 : mode == BEFORE ? 0 : size;
  ssize_t done = mode == BEFORE ? 0 : offset < 0 ? here(fd, data, some) : at(fd, data, some, offset);
  int error = done < 0 ? errno : 0;
  int own = offset < 0;
  if (own) offset = lseek(fd, 0, SEEK_CUR) - (done > 0 ? done : 0);
  ssize_t result = done;
  if (mode == BEFORE || mode == AFTER || (mode == SHORT && !some)) result = -1, error = fault.error;
  struct record r = {.op = WRITE, .fd = fd, .flags = own, .error = error, .offset = offset, .result = result, .mode = mode};
  r.data = done > 0 ? done : 0;
  record(r, NULL, NULL, data);
  errno = error;
  END(result);
}
ssize_t write(int fd, const void *data, size_t size) { return written(fd, data, size, -1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return written(fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) { return written(fd, data, size, offset); }

// Several pieces are written as one: for the disk's state that is the same.
static ssize_t gathered(int fd, const struct iovec *parts, int count, off_t offset) {
  size_t size = 0;
  for (int i = 0; i < count; i++) size += parts[i].iov_len;
  char *whole = aligned_alloc(4096, (size + 4095) / 4096 * 4096 + 4096), *at = whole;
  for (int i = 0; i < count; at += parts[i++].iov_len) memcpy(at, parts[i].iov_base, parts[i].iov_len);
  ssize_t result = written(fd, whole, size, offset);
  free(whole);
  return result;
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(ssize_t, "writev", int, const struct iovec *, int);
  return ours(fd) ? gathered(fd, parts, count, -1) : real(fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  REAL(ssize_t, "pwritev", int, const struct iovec *, int, off_t);
  return ours(fd) ? gathered(fd, parts, count, offset) : real(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) { return pwritev(fd, parts, count, offset); }

static void unseen(int fd, const char *what) {
  struct record r = {.op = UNSEEN, .fd = fd, .data = strlen(what)};
  record(r, NULL, NULL, what);
}
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
  REAL(ssize_t, "pwritev2", int, const struct iovec *, int, off_t, int);
  if (!ours(fd)) return real(fd, parts, count, offset, flags);
  if (flags) unseen(fd, "pwritev2 with flags");
  return gathered(fd, parts, count, offset);
}
// These two copy within the kernel; who uses them has a plain way for when they are refused.
ssize_t sendfile64(int to, int from, off_t *offset, size_t size) {
  REAL(ssize_t, "sendfile64", int, int, off_t *, size_t);
  if (ours(to)) { errno = EINVAL; return -1; }
  return real(to, from, offset, size);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t size) { return sendfile64(to, from, offset, size); }
ssize_t copy_file_range(int from, off_t *start, int to, off_t *offset, size_t size, unsigned flags) {
  REAL(ssize_t, "copy_file_range", int, off_t *, int, off_t *, size_t, unsigned);
  if (ours(to)) { errno = EXDEV; return -1; }
  return real(from, start, to, offset, size, flags);
}

int ftruncate64(int fd, off_t size) {
  REAL(int, "ftruncate64", int, off_t);
  BEGIN;
  if (!ours(fd)) END(real(fd, size));
  CALL(TRUNCATE, real(fd, size));
  record((struct record){.op = TRUNCATE, .fd = fd, .offset = size, .error = error, .result = result, .mode = mode}, NULL, NULL, NULL);
  END(result);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int truncate64(const char *path, off_t size) {
  REAL(int, "truncate64", const char *, off_t);
  char found[PATH_MAX];
  BEGIN;
  if (!below(AT_FDCWD, path, found)) END(real(path, size));
  CALL(TRUNCATE, real(path, size));
  record((struct record){.op = TRUNCATE, .fd = -1, .offset = size, .error = error, .result = result, .mode = mode}, found, NULL, NULL);
  END(result);
}
int truncate(const char *path, off_t size) { return truncate64(path, size); }

int fallocate64(int fd, int how, off_t offset, off_t size) {
  REAL(int, "fallocate64", int, int, off_t, off_t);
  BEGIN;
  if (!ours(fd)) END(real(fd, how, offset, size));
  CALL(ALLOCATE, real(fd, how, offset, size));
  struct record r = {.op = ALLOCATE, .fd = fd, .flags = how, .error = error, .offset = offset, .result = result ? result : size, .mode = mode};
  record(r, NULL, NULL, NULL);
  END(result);
}
int fallocate(int fd, int how, off_t offset, off_t size) { return fallocate64(fd, how, offset, size); }
int posix_fallocate64(int fd, off_t offset, off_t size) { return fallocate64(fd, 0, offset, size) ? errno : 0; }
int posix_fallocate(int fd, off_t offset, off_t size) { return posix_fallocate64(fd, offset, size); }

#define SYNCING(name, data_only) \
  int name(int fd) { \
    REAL(int, #name, int); \
    BEGIN; \
    if (!ours(fd)) END(real(fd)); \
    CALL(SYNC, real(fd)); \
    record((struct record){.op = SYNC, .fd = fd, .flags = data_only, .error = error, .result = result, .mode = mode}, NULL, NULL, NULL); \
    END(result); \
  }
SYNCING(fsync, 0)
SYNCING(fdatasync, 1)
int sync_file_range(int fd, off_t offset, off_t size, unsigned flags) {
  REAL(int, "sync_file_range", int, off_t, off_t, unsigned);
  BEGIN;
  if (ours(fd)) record((struct record){.op = RANGE, .fd = fd, .flags = flags, .offset = offset, .result = size}, NULL, NULL, NULL);
  END(real(fd, offset, size, flags));
}

void *mmap64(void *address, size_t size, int access, int flags, int fd, off_t offset) {
  REAL(void *, "mmap64", void *, size_t, int, int, int, off_t);
  BEGIN;
  if (ours(fd) && (flags & MAP_SHARED) && (access & PROT_WRITE))
    record((struct record){.op = MAP, .fd = fd, .flags = flags, .offset = offset, .result = size}, NULL, NULL, NULL);
  END(real(address, size, access, flags, fd, offset));
}
void *mmap(void *address, size_t size, int access, int flags, int fd, off_t offset) {
  return mmap64(address, size, access, flags, fd, offset);
}

// --- names --------------------------------------------------------------------------------------------------------

int unlinkat(int at, const char *path, int flags) {
  REAL(int, "unlinkat", int, const char *, int);
  char found[PATH_MAX];
  BEGIN;
  if (!below(at, path, found)) END(real(at, path, flags));
  CALL(UNLINK, real(at, path, flags));
  record((struct record){.op = UNLINK, .fd = -1, .error = error, .result = result, .mode = mode}, found, NULL, NULL);
  END(result);
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
  int result = unlink(path);
  return result && errno == EISDIR ? rmdir(path) : result;
}

// Calls that make a name `path` of `first`; `first` may be elsewhere, and then is empty in the record.
#define NAMING(op_, call, first_at, first, at, path, flags_) \
  char one[PATH_MAX] = "", two[PATH_MAX] = ""; \
  BEGIN; \
  int from = below(first_at, first, one), to = below(at, path, two); \
  if (!from && !to) END(call); \
  CALL(op_, call); \
  struct record r = {.op = op_, .fd = -1, .flags = flags_, .error = error, .result = result, .mode = mode}; \
  record(r, one, two, NULL); \
  END(result)
int renameat2(int first_at, const char *first, int at, const char *path, unsigned flags) {
  REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
  NAMING(RENAME, real(first_at, first, at, path, flags), first_at, first, at, path, flags);
}
int renameat(int first_at, const char *first, int at, const char *path) { return renameat2(first_at, first, at, path, 0); }
int rename(const char *first, const char *path) { return renameat2(AT_FDCWD, first, AT_FDCWD, path, 0); }
int linkat(int first_at, const char *first, int at, const char *path, int flags) {
  REAL(int, "linkat", int, const char *, int, const char *, int);
  NAMING(LINK, real(first_at, first, at, path, flags), first_at, first, at, path, flags);
}
int link(const char *first, const char *path) { return linkat(AT_FDCWD, first, AT_FDCWD, path, 0); }
int symlinkat(const char *first, int at, const char *path) {
  REAL(int, "symlinkat", const char *, int, const char *);
  NAMING(SYMLINK, real(first, at, path), AT_FDCWD, NULL, at, path, 0);
}
int symlink(const char *first, const char *path) { return symlinkat(first, AT_FDCWD, path); }
int mkdirat(int at, const char *path, mode_t permissions) {
  REAL(int, "mkdirat", int, const char *, mode_t);
  NAMING(MKDIR, real(at, path, permissions), AT_FDCWD, NULL, at, path, 0);
}
int mkdir(const char *path, mode_t permissions) { return mkdirat(AT_FDCWD, path, permissions); }
