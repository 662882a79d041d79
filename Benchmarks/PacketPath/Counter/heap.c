#define _GNU_SOURCE
#include "spans.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

// The C library's own; what is taken from one may be given back to any other.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

void *malloc(size_t size) {
    note_allocation();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    note_allocation();
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    note_allocation();
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
    note_allocation();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    note_allocation();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    note_allocation();
    void *taken = __libc_memalign(alignment, size);
    if (!taken) return ENOMEM;
    *memory = taken;
    return 0;
}

void free(void *memory) {
    if (memory) note_free();
    __libc_free(memory);
}

// libsrtp's entries, so that what is allocated below them is told apart: some builds of it do so in every cipher call.

typedef int (*srtp_entry)(void *session, void *packet, int *length);

#define SRTP_ENTRY(name)                                          \
    int name(void *session, void *packet, int *length) {          \
        static srtp_entry entry;                                  \
        if (!entry) entry = (srtp_entry)dlsym(RTLD_NEXT, #name);  \
        enter_srtp();                                             \
        int status = entry(session, packet, length);              \
        leave_srtp();                                             \
        return status;                                            \
    }

SRTP_ENTRY(srtp_protect)
SRTP_ENTRY(srtp_unprotect)
SRTP_ENTRY(srtp_protect_rtcp)
SRTP_ENTRY(srtp_unprotect_rtcp)
