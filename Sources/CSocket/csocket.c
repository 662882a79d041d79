#define _GNU_SOURCE
#include "csocket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64 };

static socklen_t to_sockaddr(const csocket_address *address, struct sockaddr_storage *storage) {
    memset(storage, 0, sizeof *storage);
    if (address->family == 6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(address->port);
        for (int i = 0; i < 8; i++) {
            v6->sin6_addr.s6_addr[i] = (uint8_t)(address->high >> (56 - 8 * i));
            v6->sin6_addr.s6_addr[8 + i] = (uint8_t)(address->low >> (56 - 8 * i));
        }
        return sizeof *v6;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address->port);
    v4->sin_addr.s_addr = htonl((uint32_t)address->low);
    return sizeof *v4;
}

static csocket_address from_sockaddr(const struct sockaddr_storage *storage) {
    csocket_address address = {0};
    if (storage->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)storage;
        address.family = 6;
        address.port = ntohs(v6->sin6_port);
        for (int i = 0; i < 8; i++) {
            address.high = address.high << 8 | v6->sin6_addr.s6_addr[i];
            address.low = address.low << 8 | v6->sin6_addr.s6_addr[8 + i];
        }
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)storage;
        address.family = 4;
        address.port = ntohs(v4->sin_port);
        address.low = ntohl(v4->sin_addr.s_addr);
    }
    return address;
}

static int open_socket(const csocket_address *local, int type) {
    int family = local->family == 6 ? AF_INET6 : AF_INET;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int on = 1, expedited = 46 << 2;
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &expedited, sizeof expedited);
    } else {
        setsockopt(fd, IPPROTO_IP, IP_TOS, &expedited, sizeof expedited);
    }
    // A listener that starts again must not wait for the connections of the one before it.
    if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_storage storage;
    socklen_t length = to_sockaddr(local, &storage);
    if (bind(fd, (struct sockaddr *)&storage, length) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int csocket_open(const csocket_address *local) {
    int fd = open_socket(local, SOCK_DGRAM), buffer = 4 << 20;
    if (fd < 0) return fd;
    // Best effort: the kernel cuts these to net.core.rmem_max and wmem_max.
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    return fd;
}

static void hurry(int fd) {
    int on = 1, give_up = 10000;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // A peer that acknowledges nothing for so many milliseconds is gone; the default is a quarter of an hour.
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &give_up, sizeof give_up);
}

int csocket_connect(const csocket_address *local, const csocket_address *remote) {
    int fd = open_socket(local, SOCK_STREAM);
    if (fd < 0) return fd;
    hurry(fd);
    struct sockaddr_storage storage;
    socklen_t length = to_sockaddr(remote, &storage);
    if (connect(fd, (struct sockaddr *)&storage, length) < 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int csocket_listen(const csocket_address *local) {
    int fd = open_socket(local, SOCK_STREAM);
    if (fd < 0) return fd;
    if (listen(fd, 512) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int csocket_accept(int listener, csocket_address *remote) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int fd = accept4(listener, (struct sockaddr *)&storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
    *remote = from_sockaddr(&storage);
    hurry(fd);
    return fd;
}

int csocket_read(int fd, uint8_t *bytes, uint32_t capacity) {
    ssize_t count = recv(fd, bytes, capacity, 0);
    if (count > 0) return (int)count;
    if (count == 0) return -EPIPE;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int csocket_write(int fd, const uint8_t *bytes, uint32_t count) {
    ssize_t written = send(fd, bytes, count, MSG_NOSIGNAL);
    if (written >= 0) return (int)written;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int csocket_poller(void) {
    int poller = epoll_create1(EPOLL_CLOEXEC);
    return poller < 0 ? -errno : poller;
}

bool csocket_watch(int poller, int fd, bool writing) {
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.fd = fd};
    return epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event) == 0
        || (errno == ENOENT && epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
}

void csocket_unwatch(int poller, int fd) { epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL); }

int csocket_ready(int poller, int *fds, int capacity) {
    struct epoll_event events[BATCH];
    int count = epoll_wait(poller, events, capacity < BATCH ? capacity : BATCH, 0);
    for (int i = 0; i < count; i++) fds[i] = events[i].data.fd;
    return count < 0 ? 0 : count;
}

uint16_t csocket_port(int fd) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0) return 0;
    return from_sockaddr(&storage).port;
}

int csocket_receive(int fd, uint8_t *slab, uint32_t slot, int capacity, csocket_datagram *datagrams) {
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_storage sources[BATCH];
    if (capacity > BATCH) capacity = BATCH;
    memset(messages, 0, sizeof(struct mmsghdr) * (size_t)capacity);
    for (int i = 0; i < capacity; i++) {
        vectors[i] = (struct iovec){slab + (size_t)i * slot, slot};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &sources[i];
        messages[i].msg_hdr.msg_namelen = sizeof sources[i];
    }
    int received = recvmmsg(fd, messages, (unsigned)capacity, 0, NULL);
    if (received < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    for (int i = 0; i < received; i++) {
        bool whole = !(messages[i].msg_hdr.msg_flags & MSG_TRUNC);
        datagrams[i].offset = (uint32_t)i * slot;
        datagrams[i].length = whole ? messages[i].msg_len : 0;
        datagrams[i].address = from_sockaddr(&sources[i]);
    }
    return received;
}

int csocket_send(int fd, const uint8_t *slab, const csocket_datagram *datagrams, int count) {
    int sent = 0;
    for (int start = 0; start < count;) {
        struct mmsghdr messages[BATCH];
        struct iovec vectors[BATCH];
        struct sockaddr_storage destinations[BATCH];
        int n = count - start < BATCH ? count - start : BATCH;
        memset(messages, 0, sizeof(struct mmsghdr) * (size_t)n);
        for (int i = 0; i < n; i++) {
            const csocket_datagram *datagram = &datagrams[start + i];
            vectors[i] = (struct iovec){(void *)(slab + datagram->offset), datagram->length};
            messages[i].msg_hdr.msg_iov = &vectors[i];
            messages[i].msg_hdr.msg_iovlen = 1;
            messages[i].msg_hdr.msg_name = &destinations[i];
            messages[i].msg_hdr.msg_namelen = to_sockaddr(&datagram->address, &destinations[i]);
        }
        int result = sendmmsg(fd, messages, (unsigned)n, 0);
        if (result < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == ENOBUFS) return sent;
            start += 1;  // this destination only
        } else {
            sent += result;
            start += result;
        }
    }
    return sent;
}

uint64_t csocket_wait(const int *fds, int count, int64_t timeout) {
    struct pollfd polled[csocket_maximum];
    if (count > csocket_maximum) count = csocket_maximum;
    for (int i = 0; i < count; i++) polled[i] = (struct pollfd){fds[i], POLLIN, 0};
    struct timespec limit = {timeout / 1000000000, timeout % 1000000000};
    uint64_t ready = 0;
    if (ppoll(polled, (nfds_t)count, timeout < 0 ? NULL : &limit, NULL) <= 0) return 0;
    for (int i = 0; i < count; i++)
        if (polled[i].revents) ready |= (uint64_t)1 << i;
    return ready;
}

void csocket_sleep(int64_t time) {
    struct timespec until = {time / 1000000000, time % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

// With four threads that compute on two cores a thread of normal priority was seen to wake 17 ms late in 1 of 100 cases, and
// when it has work for 40 % of a core, ever later; round robin, 0.1 ms. The kernel keeps 5 % of the time from such threads.
static bool real_time(void) {
    struct sched_param lowest = {.sched_priority = 1};
    return sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) == 0;
}

void csocket_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void csocket_become_media_thread(void) {
    csocket_name_thread("media");
    prctl(PR_SET_TIMERSLACK, 1UL);
    if (!real_time()) setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
}

bool csocket_may_be_real_time(void) {
    if (!real_time()) return false;
    struct sched_param none = {0};
    // Without privileges a thread may not take the flag off again.
    sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none);
    return true;
}

int csocket_waker(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

void csocket_wake(int fd) {
    uint64_t one = 1;
    if (write(fd, &one, sizeof one) < 0) return;  // EAGAIN: it is awake already
}

void csocket_rest(int fd) {
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0) return;
}
