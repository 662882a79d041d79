import Synchronization

/// How much longer somebody waits whose request takes several questions to a server, however many they are.
package final class Patience: Sendable {
    @TaskLocal private static var current: Patience?
    private let left: Mutex<Duration?>

    private init(_ time: Duration) {
        left = Mutex(time)
    }

    /// What is left for further questions; nil where nobody waits for the answers.
    package static var left: Duration? { current?.left.withLock(\.self) }

    /// Takes off what a question took.
    package static func spend(_ time: Duration) {
        current?.left.withLock { left in
            if let before = left { left = before - time }
        }
    }

    /// Does something that nobody waits for, whoever has it done.
    package static func none<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async rethrows -> Result {
        try await $current.withValue(nil, operation: body, isolation: isolation)
    }

    /// Does something for somebody who waits. Tasks that it leaves running have all the time they want from then on.
    ///
    /// - Parameter time: what its questions may take together.
    package static func of<Result>(
        _ time: Duration, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async rethrows -> Result {
        let patience = Patience(time)
        defer { patience.left.withLock { $0 = nil } }
        return try await $current.withValue(patience, operation: body, isolation: isolation)
    }
}
