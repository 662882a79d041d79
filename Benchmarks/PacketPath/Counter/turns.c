#define _GNU_SOURCE
#include "spans.h"

#include <dlfcn.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>

// Media loops are the threads that call recvmmsg; their system calls tell what a turn was about.

static atomic_bool watches;
static __thread bool is_loop, in_turn;
static __thread counter_kind turn_kind;
static __thread uint64_t turn_packets;

void counter_watch_loops(bool on) { atomic_store(&watches, on); }

counter_kind counter_kind_of(const uint8_t *datagram, uint64_t length, bool outgoing) {
    if (length < 2) return counter_other;
    if (datagram[0] < 4) return counter_stun;
    if (datagram[0] < 128 || datagram[0] > 191) return counter_other;
    if (datagram[1] >= 192 && datagram[1] <= 223) return counter_rtcp;
    return outgoing ? counter_rtp_out : counter_rtp_in;
}

static void look_at(const struct mmsghdr *message, uint64_t length, bool outgoing) {
    counter_kind kind = counter_kind_of(message->msg_hdr.msg_iov->iov_base, length, outgoing);
    if (kind > turn_kind) turn_kind = kind;
    turn_packets++;
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    static int (*next)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
    counter_stop();
    if (in_turn && atomic_load(&watches)) counter_add(turn_kind, turn_packets);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "ppoll");
    int result = next(fds, count, timeout, mask);
    in_turn = is_loop && atomic_load(&watches);
    if (in_turn) {
        turn_kind = counter_rtp_in;
        turn_packets = 0;
        counter_begin();
    }
    return result;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
    static int (*next)(int, struct mmsghdr *, unsigned, int, struct timespec *);
    is_loop = true;
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "recvmmsg");
    int received = next(fd, messages, count, flags, timeout);
    for (int i = 0; i < received; i++) look_at(&messages[i], messages[i].msg_len, false);
    return received;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    static int (*next)(int, struct mmsghdr *, unsigned, int);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "sendmmsg");
    int sent = next(fd, messages, count, flags);
    for (int i = 0; i < sent; i++) look_at(&messages[i], messages[i].msg_hdr.msg_iov->iov_len, true);
    return sent;
}
