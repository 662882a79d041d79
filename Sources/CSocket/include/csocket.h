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

/// A TCP socket that is being connected from `local` (port 0: any free one) to `remote`: what is written before it is
/// waits. -errno on failure.
int csocket_connect(const csocket_address *local, const csocket_address *remote);

/// A TCP socket that listens at `local`. -errno on failure.
int csocket_listen(const csocket_address *local);

/// The next connection of a listening socket and whose it is; 0 when there is none, -errno on failure.
int csocket_accept(int listener, csocket_address *remote);

/// Reads up to `capacity` bytes of a connection; 0 when there are none yet, -errno when it is over (-EPIPE when the peer
/// has closed it).
int csocket_read(int fd, uint8_t *bytes, uint32_t capacity);

/// Writes as much as the kernel takes of `count` bytes; -errno when the connection is over.
int csocket_write(int fd, const uint8_t *bytes, uint32_t count);

/// A descriptor that can be read while one of those that it watches is ready. -errno on failure.
int csocket_poller(void);

/// Watches `fd`, or goes on watching it, and whether it can be written to as well. What is closed is watched no more.
bool csocket_watch(int poller, int fd, bool writing);
void csocket_unwatch(int poller, int fd);

/// The descriptors that are ready, up to `capacity`; does not wait.
int csocket_ready(int poller, int *fds, int capacity);

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
