/// Where a caller is, as far as it is known.
struct CallerPlace: Sendable {
    /// An IP address.
    var address = ""
    /// What a limit for one address counts by.
    var network = ""
    /// Scheme, host and port of the page that it calls from, where it is on one.
    var page: String?
}
