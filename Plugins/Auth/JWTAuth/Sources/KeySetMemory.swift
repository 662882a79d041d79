internal import OutboundHTTP
internal import Synchronization

/// The key sets that somebody in this process has, so that an instance that takes the place of another with the same
/// issuer has its keys, should the issuer be away just then.
package final class KeySetMemory: Sendable {
    /// What an issuer has published last, for as long as an instance lives that believes it.
    final class Set: Sendable {
        /// As it came, for each reads it by its own settings, and when it was asked for.
        typealias Fetched = (document: [UInt8], at: Duration)

        private let last = Mutex<Fetched?>(nil)

        var fetched: Fetched? { last.withLock { $0 } }

        /// - Parameter time: by the clock of the `KeySetAccess`.
        func keep(_ document: [UInt8], fetched time: Duration) {
            last.withLock { last in
                if last.map({ $0.at <= time }) ?? true { last = (document, time) }
            }
        }
    }

    private struct Place {
        weak var set: Set?
    }

    private let places = Mutex<[HTTPEndpoint: Place]>([:])

    /// Makes one that knows nothing, which tests do.
    package init() {}

    /// The set of an issuer, the same for all who have it.
    func set(of endpoint: HTTPEndpoint) -> Set {
        places.withLock { places in
            if let set = places[endpoint]?.set { return set }
            places = places.filter { $0.value.set != nil }
            let set = Set()
            places[endpoint] = Place(set: set)
            return set
        }
    }
}
