internal import CSocket
import Glibc
import ICE
import STUN
import Synchronization
package import Wire

/// One thread that owns one UDP port on each address, and every call placed on it: it waits, receives, runs timers, sends.
///
/// A call never moves to another loop: its candidates carry this loop's port. Others talk to a loop through `perform`.
package final class MediaLoop: Sendable {
    /// Where the loop's sockets are bound; a peer connection's `path` is an index into this.
    package let addresses: [SocketAddress]
    private let inbox = Mutex(Inbox())
    private let waker: Int32
    private let calls = Atomic(0)
    private let thread = Mutex<pthread_t?>(nil)

    private struct Inbox {
        var commands: [@Sendable (LoopCore) -> Void] = []
        var stopped = false
    }

    /// What a loop is made with.
    struct Setup {
        /// One for each local IP address; port 0 takes any free one.
        var addresses: [SocketAddress]
        /// Where others see those, by their position; ports stay as they are.
        var mapped: [Int: SocketAddress]
        /// Where callers connect to by TCP, one for each address or none.
        var tcpAddresses: [SocketAddress] = []
        /// Those whose connections this loop takes first.
        var listeners: [TCPListener] = []
        var dialRules: DialRules
        /// First 32 bits of the transaction ids of what the loop itself asks servers.
        var tag: UInt32
        /// What the calls' encoders may come down to while the thread is short of time, and what they are set to.
        var complexities: ClosedRange<Int>
    }

    /// Binds the sockets and starts the thread.
    init(_ setup: Setup) throws(MediaError) {
        let core = try LoopCore(setup)
        self.addresses = core.addresses
        waker = csocket_waker()
        guard waker >= 0 else { throw .thread(errno: errno) }
        core.waker = waker
        try start(core)
    }

    deinit {
        close(waker)
    }

    /// How many calls the loop has, or has been asked to take.
    package var load: Int {
        calls.load(ordering: .relaxed)
    }

    /// Runs `body` on the loop's thread, soon, and hands its result back.
    ///
    /// - Throws: `MediaError.stopped`.
    package func perform<Result: Sendable>(
        _ body: @escaping @Sendable (LoopCore) -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            let accepted = enqueue { core in continuation.resume(returning: body(core)) }
            if !accepted {
                continuation.resume(throwing: MediaError.stopped)
            }
        }
    }

    /// Ends every call on the loop, and then its thread. Returns at once; `join` waits.
    package func stop() {
        enqueue(last: true) { core in core.stop() }
    }

    /// Waits for the thread's end, after `stop`. Its C libraries clean up after it when it goes, and a process that exits
    /// meanwhile cleans up the same things a second time.
    package func join() {
        guard let thread = thread.withLock({ $0.take() }) else { return }
        pthread_join(thread, nil)
    }

    /// Has the loop look at a call whose deadline another thread has changed.
    func touch(_ tag: UInt32) {
        enqueue { core in _ = core.with(tag) { _ in } }
    }

    func reserve() {
        calls.add(1, ordering: .relaxed)
    }

    func unreserve() {
        calls.subtract(1, ordering: .relaxed)
    }

    @discardableResult
    func enqueue(last: Bool = false, _ command: @escaping @Sendable (LoopCore) -> Void) -> Bool {
        let accepted = inbox.withLock { inbox in
            guard !inbox.stopped else { return false }
            inbox.commands.append(command)
            inbox.stopped = last
            return true
        }
        if accepted {
            csocket_wake(waker)
        }
        return accepted
    }

    /// Hands the commands out in exchange for an empty array, whose memory is used again.
    func takeCommands(_ commands: inout [@Sendable (LoopCore) -> Void]) {
        inbox.withLock { swap(&$0.commands, &commands) }
    }

    var hasCommands: Bool {
        inbox.withLock { !$0.commands.isEmpty }
    }

    private func start(_ core: LoopCore) throws(MediaError) {
        let box = unsafe Unmanaged.passRetained(ThreadStart(loop: self, core: core)).toOpaque()
        var thread = pthread_t()
        let code = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
                csocket_become_media_thread()
                start.core.run(start.loop)
                return nil
            }, box)
        guard code == 0 else {
            unsafe Unmanaged<ThreadStart>.fromOpaque(box).release()
            throw .thread(errno: code)
        }
        self.thread.withLock { $0 = thread }
    }

    /// Carries the loop's state into its thread; nobody else touches the core after that.
    private final class ThreadStart {
        let loop: MediaLoop
        let core: LoopCore

        init(loop: MediaLoop, core: LoopCore) {
            self.loop = loop
            self.core = core
        }
    }
}
