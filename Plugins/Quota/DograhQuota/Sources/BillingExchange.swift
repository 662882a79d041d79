/// One question to the billing service.
struct BillingRequest: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
    }

    var method: Method
    var url: String
    /// Secrets are in it: not for a log.
    var headers: [String: String]
    /// Empty where there is none.
    var body: [UInt8]
}

/// What came back.
struct BillingReply: Sendable {
    var status: Int
    var body: [UInt8]
}

/// Asks one question; throws a `BillingFailure` where no answer came, and whatever else may happen.
typealias BillingExchange = @Sendable (BillingRequest) async throws -> BillingReply
