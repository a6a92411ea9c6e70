/* Preloaded into a server: counts the locks that its threads take and the threads that they wake, but for each process's
 * first one, which runs no requests and has work of its own from time to time. COUNT_FILE: a file of 64-bit counters that
 * all its processes share, in the order of `enum what`; tests/support/ftm/lock_count.py reads it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum what { MUTEX, RWLOCK, SPIN, CONDITION_WAKE, SEMAPHORE_POST, FUTEX_WAKES, EVENT_WRITES, COUNTERS };

static uint64_t ignored[COUNTERS];
static uint64_t* counters = ignored;

__attribute__((constructor)) static void prepare(void)
{
    const int fd = getenv("COUNT_FILE") != NULL ? open(getenv("COUNT_FILE"), O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void* memory = mmap(NULL, sizeof ignored, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory != MAP_FAILED) {
            counters = memory;
        }
        close(fd);
    }
}

static void count(enum what what)
{
    static __thread int first = -1;
    if (first < 0) {
        first = gettid() == getpid();
    }
    if (!first) {
        __atomic_fetch_add(&counters[what], 1, __ATOMIC_RELAXED);
    }
}

#define COUNTED(what, name, type)                                                                                          \
    int name(type* object)                                                                                                 \
    {                                                                                                                      \
        static int (*original)(type*);                                                                                     \
        if (original == NULL) {                                                                                            \
            original = (int (*)(type*))dlsym(RTLD_NEXT, #name);                                                            \
        }                                                                                                                  \
        count(what);                                                                                                       \
        return original(object);                                                                                           \
    }

COUNTED(MUTEX, pthread_mutex_lock, pthread_mutex_t)
COUNTED(MUTEX, pthread_mutex_trylock, pthread_mutex_t)
COUNTED(RWLOCK, pthread_rwlock_rdlock, pthread_rwlock_t)
COUNTED(RWLOCK, pthread_rwlock_wrlock, pthread_rwlock_t)
COUNTED(SPIN, pthread_spin_lock, pthread_spinlock_t)
COUNTED(CONDITION_WAKE, pthread_cond_signal, pthread_cond_t)
COUNTED(CONDITION_WAKE, pthread_cond_broadcast, pthread_cond_t)
COUNTED(SEMAPHORE_POST, sem_post, sem_t)

/* std::mutex and the server's own waits; libc's inner locks (allocator, stdio) do not come by here. */
long syscall(long number, ...)
{
    static long (*original)(long, ...);
    if (original == NULL) {
        original = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    }
    va_list list;
    va_start(list, number);
    long a[6];
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_futex && ((a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE || (a[1] & FUTEX_CMD_MASK) == FUTEX_REQUEUE)) {
        count(FUTEX_WAKES);
    }
    return original(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* An eventfd is written to eight bytes at a time. */
ssize_t write(int fd, const void* data, size_t length)
{
    static ssize_t (*original)(int, const void*, size_t);
    if (original == NULL) {
        original = (ssize_t (*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
    }
    if (length == sizeof(uint64_t)) {
        count(EVENT_WRITES);
    }
    return original(fd, data, length);
}
