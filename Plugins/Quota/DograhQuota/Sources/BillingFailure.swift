internal import PatchbayPlugin

/// Why the billing service has not said anything.
enum BillingFailure: Error, CustomStringConvertible {
    /// No answer came: a time-out, a connection that was not made or broke off, HTTP that is none, a proxy that fails.
    case transport(String)
    /// Any status but 200. A body may repeat what it was sent, so it is shown to nobody.
    case status(Int, body: [UInt8])
    /// An answer that cannot be understood.
    case unreadable(String)
    /// Anything else, such as an address that is none.
    case other(String)

    /// Whether it could not be reached, which is no reason to refuse everybody a call.
    var isTransport: Bool {
        switch self {
        case .transport: true
        case .status, .unreadable, .other: false
        }
    }

    /// Whether the service key is of another organisation.
    var isOrganizationMismatch: Bool {
        guard case .status(403, let body) = self, let detail = try? JSONValue(parsing: body)["detail"]?.string else {
            return false
        }
        return detail.lowercased() == "service key organization mismatch"
    }

    /// Whether it speaks of something that is not there, by its status or in words.
    var saysNotFound: Bool {
        guard case .status(let status, let body) = self else { return false }
        let text = "\(status) \(String(decoding: body, as: UTF8.self))"
        return text.contains("404") || text.lowercased().contains("not found")
    }

    var description: String {
        switch self {
        case .transport(let reason): "no answer: \(reason)"
        case .status(let status, _): "HTTP status \(status)"
        case .unreadable(let reason): "the answer cannot be read: \(reason)"
        case .other(let reason): reason
        }
    }
}
