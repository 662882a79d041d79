internal import Crypto
internal import PatchbayPlugin
internal import Synchronization

/// Remembers for a while who was let in with what: the whole question, for the answer may depend on any of it. Only its hash
/// is kept, so that nobody finds credentials here.
final class AnswerCache: Sendable {
    /// How many answers are remembered.
    static let capacity = 1_024

    private let lifetime: Duration
    private let entries = Mutex<[SHA256Digest: Entry]>([:])

    private struct Entry {
        var principal: Principal
        var from: Duration
        var until: Duration
    }

    /// - Parameter lifetime: zero remembers nothing.
    init(lifetime: Duration) {
        self.lifetime = lifetime
    }

    /// How many are remembered.
    var count: Int { entries.withLock { $0.count } }

    func answer(to question: String, now: Duration) -> Answer? {
        guard lifetime > .zero else { return nil }
        return entries.withLock { entries in
            // Not from the future, either: a clock that was put back would make them last.
            guard let entry = entries[Self.hash(question)], entry.from <= now, now < entry.until else { return nil }
            return .accept(entry.principal)
        }
    }

    /// Only who was let in is remembered: a refusal may be over at once.
    func keep(_ answer: Answer, to question: String, now: Duration) {
        guard lifetime > .zero, case .accept(let principal) = answer else { return }
        let until = min(now + lifetime, principal.expires ?? now + lifetime)
        entries.withLock { entries in
            entries[Self.hash(question)] = Entry(principal: principal, from: now, until: until)
            guard entries.count > Self.capacity else { return }
            entries = entries.filter { $0.value.from <= now && now < $0.value.until }
            guard entries.count > Self.capacity else { return }
            // The newer half.
            let newest = entries.sorted { $0.value.until > $1.value.until }.prefix(Self.capacity / 2)
            entries = Dictionary(newest.map { ($0.key, $0.value) }) { $1 }
        }
    }

    private static func hash(_ question: String) -> SHA256Digest {
        SHA256.hash(data: Array(question.utf8))
    }
}
