internal import NIOCore
internal import NIOPosix
internal import PatchbayPlugin

/// When a command's time is over.
struct RedisDeadline {
    /// From when it was asked.
    let time: Duration
    let end: NIODeadline

    init(_ time: Duration) {
        self.time = time
        end = .now() + TimeAmount(time)
    }
}

/// The connections to one server, one after another. All of it happens on one event loop.
final class RedisLink {
    private enum Phase {
        /// Nobody wants a connection.
        case closed
        /// Until the next attempt.
        case resting
        case connecting
        case open
    }

    private let configuration: RedisConfiguration
    private let loop: any EventLoop
    private let onEvent: @Sendable (RedisEvent) -> Void
    private var phase = Phase.closed
    /// Of the attempts to connect; what an earlier one still says counts no more.
    private var number = 0
    private var handler: RedisHandler?
    private var timer: Scheduled<Void>?
    /// Of those who opened, until it is known whether that went well.
    private var opening: [EventLoopPromise<Void>] = []
    /// Commands that wait for a connection.
    private var queue = CircularBuffer<RedisWaiter>()
    /// Whether there was a connection since it was opened; before that nothing is tried twice.
    private var wasOpen = false
    private var failures = 0
    /// Why the last attempt failed; nil while none has since there was a connection.
    private var failure: RedisError?
    private var openedAt = NIODeadline.now()

    init(_ configuration: RedisConfiguration, loop: any EventLoop, onEvent: @escaping @Sendable (RedisEvent) -> Void) {
        self.configuration = configuration
        self.loop = loop
        self.onEvent = onEvent
    }

    private var server: String { configuration.url.server }
    private var timeout: TimeAmount { TimeAmount(configuration.timeout) }

    // MARK: - Commands

    func submit(_ waiter: RedisWaiter, until deadline: RedisDeadline) {
        // Whoever asked may be gone by now.
        guard !waiter.isSettled else { return }
        var deadline = deadline
        switch phase {
        case .closed: return waiter.promise.fail(RedisError.notOpen(server: server))
        case .resting, .connecting:
            if let failure { return waiter.promise.fail(failure) }
            guard queue.count < configuration.queue else { return refuse(waiter) }
            queue.append(waiter)
        case .open:
            guard let handler, handler.count < configuration.queue else { return refuse(waiter) }
            if handler.isSlow {
                let short = RedisDeadline(configuration.timeout / 5)
                if short.end < deadline.end { deadline = short }
            }
            handler.send(waiter)
        }
        guard !waiter.isSettled else { return }
        waiter.timer = after(deadline.end - .now()) { [server, deadline] link in
            guard !waiter.isSettled else { return }
            waiter.promise.fail(RedisError.noReply(server: server, within: deadline.time))
            link.handler?.overdue(waiter)
        }
    }

    private func refuse(_ waiter: RedisWaiter) {
        waiter.promise.fail(RedisError.tooMany(server: server, limit: configuration.queue))
    }

    // MARK: - Opening and closing

    func open(_ isOpen: EventLoopPromise<Void>) {
        guard phase != .open else { return isOpen.succeed() }
        opening.append(isOpen)
        guard phase == .closed else { return }
        (wasOpen, failures, failure) = (false, 0, nil)
        connect()
    }

    func close(_ isClosed: EventLoopPromise<Void>) {
        phase = .closed
        number += 1
        timer?.cancel()
        for promise in opening { promise.fail(RedisError.notOpen(server: server)) }
        opening = []
        failQueue(.notOpen(server: server))
        handler?.close("the gateway closed it")
        handler = nil
        isClosed.succeed()
    }

    private func failQueue(_ error: RedisError) {
        for waiter in queue { waiter.promise.fail(error) }
        queue.removeAll()
    }

    // MARK: - Connecting

    private func connect() {
        phase = .connecting
        number += 1
        let number = number
        timer?.cancel()
        timer = after(timeout) { link in
            link.failed(number, .away(server: link.server, reason: "no answer within \(link.configuration.timeout)"))
        }
        // Neither the look-up of a name nor a TCP handshake can be cancelled: what comes too late is closed.
        ClientBootstrap(group: loop).connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [configuration] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls = configuration.tls {
                        try pipeline.addHandler(tls.handler(host: configuration.url.host))
                    }
                    try pipeline.addHandler(
                        RedisHandler(server: configuration.url.server, patience: TimeAmount(configuration.patience)))
                }
            }
            .connect(host: configuration.url.host, port: configuration.url.port)
            .assumeIsolated().whenComplete { [self] result in
                switch result {
                case .failure(let error): failed(number, .away(server: server, reason: reason(error)))
                case .success(let channel) where self.number == number && phase == .connecting:
                    do {
                        greet(number, try channel.pipeline.syncOperations.handler(type: RedisHandler.self))
                    } catch {
                        failed(number, .away(server: server, reason: "it closed the connection"))
                    }
                case .success(let channel): channel.close(promise: nil)
                }
            }
    }

    /// Says who we are and which database we want, and makes sure that somebody answers.
    private func greet(_ number: Int, _ handler: RedisHandler) {
        self.handler = handler
        handler.onEnd = { [weak self] reason in self?.ended(number, reason) }
        var greetings: [RedisCommand] = []
        if let password = configuration.password {
            let words = [configuration.username, password.withValue(\.self)].compactMap(\.self)
            greetings.append(RedisCommand(["AUTH"] + words.map { .text($0) }))
        }
        if configuration.url.database != 0 {
            greetings.append(RedisCommand("SELECT", .integer(configuration.url.database)))
        }
        greetings.append(RedisCommand("PING"))
        for (index, greeting) in greetings.enumerated() {
            let reply = loop.makePromise(of: RESPValue.self)
            let isAuthentication = greetings.count > 1 && index == 0 && configuration.password != nil
            reply.futureResult.assumeIsolated().whenComplete { [self] result in
                guard self.number == number, phase == .connecting else { return }
                if case .failure(let error) = result {
                    failed(number, refusal(error, isAuthentication: isAuthentication))
                } else if index == greetings.count - 1 {
                    succeeded()
                }
            }
            handler.send(RedisWaiter(greeting.encoded, reply))
        }
    }

    private func refusal(_ error: any Error, isAuthentication: Bool) -> RedisError {
        guard case RedisError.refused(_, let reply) = error, let code = (error as? RedisError)?.code else {
            if case RedisError.lost(_, let reason) = error { return .away(server: server, reason: reason) }
            return error as? RedisError ?? .away(server: server, reason: "\(error)")
        }
        let isAboutCredentials = ["WRONGPASS", "NOAUTH", "NOPERM"].contains(code)
        // Some servers repeat what they did not understand.
        let repeatsPassword = configuration.password?.withValue { reply.contains($0) } ?? false
        return isAboutCredentials || isAuthentication && repeatsPassword
            ? .badCredentials(server: server, code: code) : .refused(server: server, reply: reply)
    }

    private func succeeded() {
        phase = .open
        timer?.cancel()
        openedAt = .now()
        let wasAway = failure != nil
        (wasOpen, failure) = (true, nil)
        for promise in opening { promise.succeed() }
        opening = []
        let waiting = queue
        queue.removeAll()
        for waiter in waiting where !waiter.isSettled { handler?.send(waiter) }
        watch()
        if wasAway { onEvent(.back) }
    }

    private func failed(_ number: Int, _ error: RedisError) {
        guard self.number == number, phase == .connecting else { return }
        self.number += 1
        timer?.cancel()
        handler?.close("connecting has failed")
        handler = nil
        let isNews = failure == nil
        failure = error
        failQueue(error)
        for promise in opening { promise.fail(error) }
        opening = []
        guard wasOpen else { return phase = .closed }
        failures += 1
        rest()
        if isNews { onEvent(.away(error)) }
    }

    private func ended(_ number: Int, _ reason: String) {
        guard self.number == number else { return }
        switch phase {
        case .closed, .resting: return
        case .connecting: failed(number, .away(server: server, reason: reason))
        case .open:
            handler = nil
            // One that is cut at once, again and again, is made ever later, but soon enough for the commands that wait.
            failures = openedAt + timeout > .now() ? min(failures + 1, 3) : 0
            rest()
        }
    }

    private func rest() {
        phase = .resting
        timer?.cancel()
        let delay = configuration.backoff.delay(failures: failures, random: .random(in: 0..<1))
        timer = after(TimeAmount(delay)) { $0.connect() }
    }

    // MARK: - Watching

    /// Asks a server that nobody asks anything, so that it is known to be away before a call needs it, and one that was slow,
    /// so that it is known when it no longer is. Leaves one that does not answer; and one that has become a replica, for
    /// the name may lead to another by now.
    private func watch() {
        timer = after(timeout) { link in
            guard link.phase == .open, let handler = link.handler else { return }
            let limit = TimeAmount(link.configuration.silence)
            if let since = handler.silentSince, .now() - since >= limit {
                return handler.close("no answer for \(link.configuration.silence)")
            }
            if handler.isReadOnly, .now() - link.openedAt >= limit { return handler.close("it is a replica now") }
            if handler.count == 0, handler.isSlow || .now() - handler.lastHeard >= limit {
                let reply = link.loop.makePromise(of: RESPValue.self)
                link.submit(
                    RedisWaiter(RedisCommand("PING").encoded, reply), until: RedisDeadline(link.configuration.timeout))
            }
            link.watch()
        }
    }

    private func after(_ delay: TimeAmount, _ body: @escaping (RedisLink) -> Void) -> Scheduled<Void> {
        loop.assumeIsolated().scheduleTask(in: delay) { [weak self] in
            if let self { body(self) }
        }
    }
}
