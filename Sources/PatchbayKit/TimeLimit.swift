import PatchbayPlugin

/// Does something, and waits so long for it and no longer. What takes more time is cancelled and left behind, whether or not
/// it minds being cancelled.
///
/// - Throws: what `body` throws; `TooSlow`.
func within<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let (results, result) = AsyncStream<Result<Value, any Error>>.makeStream(bufferingPolicy: .bufferingOldest(1))
    // Tasks of their own: a group would wait for what never ends.
    let work = Task {
        do { result.yield(.success(try await body())) } catch { result.yield(.failure(error)) }
    }
    let timer = Task {
        do { try await Task.sleep(for: limit) } catch { return }
        result.yield(.failure(TooSlow(limit: limit)))
    }
    defer {
        work.cancel()
        timer.cancel()
    }
    for await first in results { return try first.get() }
    throw CancellationError()
}

/// Something that was not done in time.
struct TooSlow: Error, CustomStringConvertible {
    var limit: Duration

    var description: String { "it was not done within \(limit.written.plain)" }
}
