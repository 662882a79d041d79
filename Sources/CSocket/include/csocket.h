#pragma once
#include <stdbool.h>
#include <stdint.h>

// recvmmsg, sendmmsg and ppoll need _GNU_SOURCE, which Swift's Glibc module does not set.

/// An IPv4 address has family 4 and stands in the low 32 bits of `low`; an IPv6 address has family 6. Host byte order.
typedef struct {
    uint64_t high;
    uint64_t low;
    uint16_t port;
    uint8_t family;
} csocket_address;

typedef struct {
    uint32_t offset;  // of its first byte in the slab
    uint32_t length;
    csocket_address address;
} csocket_datagram;

/// A non-blocking UDP socket bound to `local` (port 0: any free one), marked DSCP EF (RFC 8837). -errno on failure.
int csocket_open(const csocket_address *local);

/// The port the socket is bound to; 0 on failure.
uint16_t csocket_port(int fd);

/// Receives up to `capacity` (at most 64) datagrams, number n into slab[n * slot...]; longer ones than a slot are left out.
/// The number received; 0 when there is none; -errno on failure.
int csocket_receive(int fd, uint8_t *slab, uint32_t slot, int capacity, csocket_datagram *datagrams);

/// Sends datagrams; one that the kernel refuses is skipped, and when its buffer is full so is the rest.
/// The number sent.
int csocket_send(int fd, const uint8_t *slab, const csocket_datagram *datagrams, int count);

/// How many descriptors csocket_wait watches.
enum { csocket_maximum = 64 };

/// Waits until one of `count` (at most csocket_maximum) descriptors can be read, or `timeout` nanoseconds have passed (< 0: for ever).
/// A bit for each readable or broken descriptor.
uint64_t csocket_wait(const int *fds, int count, int64_t timeout);

/// Sleeps until `time`, in nanoseconds of CLOCK_MONOTONIC.
void csocket_sleep(int64_t time);

/// Names the calling thread, for top and gdb: at most 15 bytes.
void csocket_name_thread(const char *name);

/// Names the calling thread "media", for top and gdb, and puts it before all threads that compute: real-time priority where
/// the process may (CAP_SYS_NICE, or RLIMIT_RTPRIO of 1), else nice -20 (RLIMIT_NICE), else as it was.
void csocket_become_media_thread(void);

/// Whether threads of this process get the real-time priority; tries it on the calling thread.
bool csocket_may_be_real_time(void);

/// A descriptor that becomes readable by csocket_wake from any thread, until csocket_rest.
int csocket_waker(void);
void csocket_wake(int fd);
void csocket_rest(int fd);
