#ifndef COUNTER_H
#define COUNTER_H

#include <stdbool.h>
#include <stdint.h>

/// Heap allocations of the thread that asks, counted over spans: a call into a peer connection, or one turn of a media
/// loop. Linking this replaces malloc and its relatives in the program, which still do what they did.

/// What a span was about; the last of those that apply.
typedef enum {
    counter_rtp_in,
    counter_rtp_out,
    counter_rtcp,
    counter_stun,
    counter_other,
    counter_kinds
} counter_kind;

typedef struct {
    uint64_t spans;
    uint64_t packets;
    /// Without those made below libsrtp.
    uint64_t allocations;
    uint64_t below_srtp;
    uint64_t frees;
} counter_sum;

/// Begins a span on this thread.
void counter_begin(void);

/// Ends it; `counter_add` then says what it was about.
void counter_stop(void);
void counter_add(counter_kind kind, uint64_t packets);

/// What a datagram is, by its first two bytes (RFC 7983, RFC 5761).
counter_kind counter_kind_of(const uint8_t *datagram, uint64_t length, bool outgoing);

/// Media loops are watched by their system calls: a turn is from one `ppoll` to the next. Off, none is added.
void counter_watch_loops(bool on);

counter_sum counter_total(counter_kind kind);
void counter_reset(void);

/// Prints where the allocations of RTP spans came from, most first, as addresses within the program for a symbolizer.
void counter_print_origins(void);

#endif
