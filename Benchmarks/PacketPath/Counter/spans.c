#define _GNU_SOURCE
#include "spans.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 24, PENDING = 32, ORIGINS = 512, SKIPPED = 2 };

typedef struct {
    void *frames[DEPTH];
    int depth;
    uint64_t count;
} origin;

static __thread counter_sum span;
static __thread int srtp_depth;
static __thread bool in_span, is_tracing;
/// Where the span's allocations came from, kept back until its kind is known.
static __thread origin pending[PENDING];
static __thread int pending_count;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static counter_sum sums[counter_kinds];
static origin origins[ORIGINS];
static int origin_count;

/// The first backtrace loads a library.
__attribute__((constructor)) static void prepare(void) {
    void *frames[2];
    backtrace(frames, 2);
}

void note_allocation(void) {
    if (!in_span || is_tracing) return;
    if (srtp_depth) {
        span.below_srtp++;
        return;
    }
    span.allocations++;
    if (pending_count == PENDING) return;
    is_tracing = true;
    origin *next = &pending[pending_count++];
    next->depth = backtrace(next->frames, DEPTH);
    is_tracing = false;
}

void note_free(void) {
    if (in_span && !srtp_depth) span.frees++;
}

void enter_srtp(void) { srtp_depth++; }
void leave_srtp(void) { srtp_depth--; }

void counter_begin(void) {
    memset(&span, 0, sizeof span);
    pending_count = 0;
    in_span = true;
}

static void add_origin(const origin *next) {
    for (int i = 0; i < origin_count; i++) {
        if (origins[i].depth == next->depth &&
            !memcmp(origins[i].frames, next->frames, sizeof(void *) * (size_t)next->depth)) {
            origins[i].count++;
            return;
        }
    }
    if (origin_count == ORIGINS) return;
    origins[origin_count] = *next;
    origins[origin_count++].count = 1;
}

void counter_stop(void) { in_span = false; }

void counter_add(counter_kind kind, uint64_t packets) {
    pthread_mutex_lock(&lock);
    counter_sum *sum = &sums[kind];
    sum->spans++;
    sum->packets += packets;
    sum->allocations += span.allocations;
    sum->below_srtp += span.below_srtp;
    sum->frees += span.frees;
    if (kind <= counter_rtp_out)
        for (int i = 0; i < pending_count; i++) add_origin(&pending[i]);
    pthread_mutex_unlock(&lock);
}

counter_sum counter_total(counter_kind kind) {
    pthread_mutex_lock(&lock);
    counter_sum sum = sums[kind];
    pthread_mutex_unlock(&lock);
    return sum;
}

void counter_reset(void) {
    pthread_mutex_lock(&lock);
    memset(sums, 0, sizeof sums);
    origin_count = 0;
    pthread_mutex_unlock(&lock);
}

static int more_first(const void *left, const void *right) {
    uint64_t a = ((const origin *)left)->count, b = ((const origin *)right)->count;
    return (a < b) - (a > b);
}

void counter_print_origins(void) {
    pthread_mutex_lock(&lock);
    qsort(origins, (size_t)origin_count, sizeof *origins, more_first);
    for (int i = 0; i < origin_count; i++) {
        fprintf(stderr, "%llu", (unsigned long long)origins[i].count);
        for (int frame = SKIPPED; frame < origins[i].depth; frame++) {
            Dl_info info;
            char *address = origins[i].frames[frame];
            if (!dladdr(address, &info)) continue;
            // One byte back: a return address may be another line's already.
            fprintf(stderr, " %s+0x%tx", info.dli_fname, address - 1 - (char *)info.dli_fbase);
        }
        fputc('\n', stderr);
    }
    pthread_mutex_unlock(&lock);
}
