/* Shows that the interposer counts: so many calls of each allocator, so many counted, on this thread and on another.
 * Run it with LD_PRELOAD; without, it says that nothing counts and fails. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 1000 };

static uint64_t (*thread_count)(void), (*total)(void);
static int failures;
static void *volatile kept; /* so that no call is optimised away */

static void expect(const char *what, uint64_t found, uint64_t wanted) {
    printf("%-32s %8" PRIu64 " counted, %8" PRIu64 " made%s\n", what, found, wanted, found == wanted ? "" : "  WRONG");
    failures += found != wanted;
}

static void use_malloc(void) { kept = malloc(100), free(kept); }
static void use_calloc(void) { kept = calloc(10, 10), free(kept); }
static void use_realloc(void) { kept = realloc(NULL, 100), free(kept); }
static void use_aligned_alloc(void) { kept = aligned_alloc(64, 128), free(kept); }
static void use_nothing(void) { kept = NULL; }
static void use_posix_memalign(void) {
    void *block = NULL;
    if (posix_memalign(&block, 64, 100) == 0) kept = block, free(kept);
}

static void *other_thread(void *result) {
    uint64_t before = thread_count();
    for (int i = 0; i < 3 * TIMES; i++) use_malloc();
    *(uint64_t *)result = thread_count() - before;
    return NULL;
}

int main(void) {
    static const struct { const char *name; void (*call)(void); uint64_t each; } cases[] = {
        {"malloc", use_malloc, 1}, {"calloc", use_calloc, 1}, {"realloc", use_realloc, 1},
        {"posix_memalign", use_posix_memalign, 1}, {"aligned_alloc", use_aligned_alloc, 1},
        {"nothing", use_nothing, 0}};
    *(void **)&thread_count = dlsym(RTLD_DEFAULT, "patchbay_allocation_count");
    *(void **)&total = dlsym(RTLD_DEFAULT, "patchbay_allocation_total");
    if (!thread_count || !total) {
        printf("the interposer is not loaded\n");
        return 1;
    }
    setvbuf(stdout, NULL, _IONBF, 0); /* or printf allocates its buffer within a measurement */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t before = thread_count();
        for (int n = 0; n < TIMES; n++) cases[i].call();
        expect(cases[i].name, thread_count() - before, cases[i].each * TIMES);
    }

    /* Memory that grows keeps what it held. */
    char *text = malloc(8);
    if (!text) return 1;
    strcpy(text, "patchby");
    char *grown = realloc(text, 100000);
    expect("realloc keeps the content", grown && strcmp(grown, "patchby") == 0, 1);
    free(grown);

    pthread_t thread;
    uint64_t theirs = 0, mine = thread_count(), all = total();
    if (pthread_create(&thread, NULL, other_thread, &theirs) != 0) return 1;
    pthread_join(thread, NULL);
    expect("on another thread", theirs, 3 * TIMES);
    mine = thread_count() - mine;
    all = total() - all;
    /* Starting a thread may allocate here; the process's count has that and theirs. */
    expect("in the process, less this thread", all - mine, 3 * TIMES);
    return failures > 0;
}
