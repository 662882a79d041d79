public import PatchbayPlugin

extension HTTPAuth {
    /// Whom to ask, and how.
    public struct Settings: PluginSettings {
        @Field("The URL that is asked by POST: https, or http on this machine")
        public var url: EndpointURL

        @Field("How long the answer may take, with the connection", in: .milliseconds(100) ... .seconds(10))
        public var timeout: Duration = .seconds(2)

        @Field(
            "How long an answer that lets a caller in is good for the same question; 0s asks each time",
            in: .zero ... .seconds(300))
        public var cache: Duration = .zero

        @Field(
            "How many questions may be open at once, an eighth of them from one network; further callers are refused",
            in: 1...1_000)
        public var questionsAtOnce: Int = 200

        @Field(
            "Refused callers of one network in a minute, a third of them at once; then it is not asked for a while",
            in: 1...1_000_000)
        public var refusalsPerAddress: Int = 60

        @Field("Header fields with a secret, by which the endpoint knows the gateway")
        public var secretHeaders: [String: Secret] = [:]

        /// Makes the default settings.
        public init() {}
    }
}

extension HTTPAuth.Settings {
    /// - Throws: a fault for a field that cannot be sent, or is HTTP's own.
    func makeHeaders() throws(SettingsFault) -> [String: String] {
        var headers: [String: String] = [:]
        for (name, secret) in secretHeaders {
            let value = secret.withValue { $0 }
            // RFC 9110 §5.1 and §5.5.
            guard !name.isEmpty, name.utf8.allSatisfy(Self.isTokenByte),
                value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f })
            else {
                throw SettingsFault("'\(name.prefix(64))' is no header field that can be sent", field: "secret_headers")
            }
            guard
                !["host", "connection", "content-length", "content-type", "transfer-encoding"].contains(
                    name.lowercased())
            else { throw SettingsFault("the header field '\(name)' is HTTP's own", field: "secret_headers") }
            guard headers.updateValue(value, forKey: name.lowercased()) == nil else {
                throw SettingsFault("the header field '\(name)' is set twice", field: "secret_headers")
            }
        }
        return headers
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch Unicode.Scalar(byte) {
        case "A"..."Z", "a"..."z", "0"..."9": true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
