/* Counts allocations: a shared object for LD_PRELOAD that stands before the C library's allocator and passes every call
 * on.
 *
 * A benchmark finds the two counters with dlsym at run time, so it runs with and without this object:
 *
 *     uint64_t patchbay_allocation_count(void);   of the calling thread
 *     uint64_t patchbay_allocation_total(void);   of the process
 *
 * malloc, calloc, realloc, posix_memalign, aligned_alloc and memalign count one per call, whatever they return; what
 * the C library allocates inside itself does not pass here. Counting takes no lock and allocates nothing: the thread's
 * counter lies in static TLS (the initial-exec model), so that touching it for the first time needs no memory either. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define STATIC_TLS __attribute__((tls_model("initial-exec")))

static _Thread_local uint64_t thread_count STATIC_TLS;
static _Thread_local bool resolving STATIC_TLS;
static _Atomic uint64_t process_count;

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*memalign)(size_t, size_t);
} next;
static _Atomic bool resolved;

/* What dlsym itself asks for while the functions are being looked up. Never given back. */
static _Alignas(16) char early[16384];
static _Atomic size_t early_used;

static void *early_allocate(size_t size) {
    size_t needed = (size + 31) / 16 * 16; /* the size stands before the block, for realloc */
    size_t at = atomic_fetch_add(&early_used, needed);
    if (needed < size || at + needed > sizeof early) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(early + at, &size, sizeof size);
    return early + at + 16;
}

static bool is_early(const void *block) {
    return (const char *)block >= early && (const char *)block < early + sizeof early;
}

/* False while this very thread looks the functions up. Two threads that do it at once store the same pointers. */
static bool ready(void) {
    if (atomic_load_explicit(&resolved, memory_order_acquire)) return true;
    if (resolving) return false;
    resolving = true;
    *(void **)&next.malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next.free = dlsym(RTLD_NEXT, "free");
    *(void **)&next.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&next.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&next.memalign = dlsym(RTLD_NEXT, "memalign");
    resolving = false;
    atomic_store_explicit(&resolved, true, memory_order_release);
    return true;
}

__attribute__((constructor)) static void resolve_early(void) { ready(); }

static void count(void) {
    thread_count++;
    atomic_fetch_add_explicit(&process_count, 1, memory_order_relaxed);
}

uint64_t patchbay_allocation_count(void) { return thread_count; }
uint64_t patchbay_allocation_total(void) { return atomic_load_explicit(&process_count, memory_order_relaxed); }

void *malloc(size_t size) {
    if (!ready()) return early_allocate(size);
    count();
    return next.malloc(size);
}

void *calloc(size_t number, size_t size) {
    if (!ready()) { /* memory that has never been used is zero */
        size_t total;
        return __builtin_mul_overflow(number, size, &total) ? NULL : early_allocate(total);
    }
    count();
    return next.calloc(number, size);
}

void *realloc(void *block, size_t size) {
    if (block && is_early(block)) {
        size_t old;
        memcpy(&old, (char *)block - 16, sizeof old);
        void *moved = malloc(size);
        if (moved) memcpy(moved, block, old < size ? old : size);
        return moved;
    }
    if (!ready()) return early_allocate(size);
    count();
    return next.realloc(block, size);
}

void free(void *block) {
    if (!block || is_early(block) || !ready()) return;
    next.free(block);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    if (!ready()) return ENOMEM;
    count();
    return next.posix_memalign(block, alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    if (!ready()) return NULL;
    count();
    return next.aligned_alloc(alignment, size);
}

void *memalign(size_t alignment, size_t size) {
    if (!ready()) return NULL;
    count();
    return next.memalign(alignment, size);
}
