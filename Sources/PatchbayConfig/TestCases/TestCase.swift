package import PatchbayPlugin
internal import Wire

/// A claim about a configuration: what somebody does, and what should come of it. `patchbay test` tries it.
package struct TestCase: PluginSettings {
    @Field("What it claims, for the line that says how it went") package var name: String
    @Field("A caller who opens a signaling socket") package var connect: ConnectSettings?
    @Field("A page that starts a session with its embed token, and opens the session's socket")
    package var embed: EmbedStartSettings?
    @Field("An ICE candidate that a tenant's policy keeps or drops") package var candidate: CandidateSettings?
    @Field("What should come of it; what is not named is not looked at") package var expect: ExpectationSettings

    /// As it was given.
    package internal(set) var file = ""
    /// Counts from 1.
    package internal(set) var line = 0

    package init() {}

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> TestCase? {
        let (test, isComplete) = readParts(node, reader)
        return isComplete ? test : nil
    }

    /// Reads what can be read, and says whether that is a whole test without faults.
    static func readParts(_ node: SettingsNode, _ reader: SettingsReader) -> (test: TestCase, isComplete: Bool) {
        let test = TestCase()
        guard reader.fill(test.fields, from: node) else { return (test, false) }
        let subjects = ["connect", "embed", "candidate"].filter { node[$0] != nil }
        guard let subject = subjects.first, subjects.count == 1 else {
            reader.report(
                SettingsProblem(
                    range: node.anchor, path: node.path,
                    message: "a test has one of `connect`, `embed` and `candidate`",
                    help: subjects.isEmpty ? "write what somebody does" : "make two tests of it"))
            return (test, false)
        }
        return (test, test.checkExpectation(node["expect"], of: subject, reader))
    }

    /// nil where it is missing or faulty.
    var writtenExpect: ExpectationSettings? { _expect.decoded }

    /// Whether it says something, and nothing that never holds of such a test.
    private func checkExpectation(_ node: SettingsNode?, of subject: String, _ reader: SettingsReader) -> Bool {
        guard let node else { return false }
        guard case .map(let entries) = node.content, !entries.isEmpty else {
            reader.report(
                SettingsProblem(
                    range: node.anchor, path: node.path, message: "the test expects nothing, and so could not fail",
                    help: subject == "candidate" ? "for example { kept: true }" : "for example { outcome: accepted }"))
            return false
        }
        var isComplete = true
        for entry in entries where (entry.name == "kept") != (subject == "candidate") {
            isComplete = false
            reader.report(
                SettingsProblem(
                    range: entry.range, path: node.path,
                    message: subject == "candidate"
                        ? "'\(printable(entry.name))' is said of callers, not of candidates"
                        : "'kept' is said of candidates, not of callers",
                    help: subject == "candidate" ? "of a candidate: { kept: true } or { kept: false }" : nil))
        }
        return isComplete
    }
}

/// A caller who opens a signaling socket.
package struct ConnectSettings: PluginSettings {
    @Field("The host that is called") package var host: String = "localhost"
    @Field("The socket's path: /api/v1/ws/signaling/WORKFLOW/RUN, below the path of a tenant that has one")
    package var path: RequestPath
    @Field("The token that the caller shows") package var token: TestCredential?
    @Field("The API key that the caller shows; with one, the token is not looked at")
    package var apiKey: TestCredential?
    @Field("The page that the caller is on, as browsers name it in `Origin`: https://shop.example")
    package var origin: String?
    @Field("The IP address that the caller has") package var address: IPAddress = .documentation

    package init() {}
}

/// A page that starts a session with its embed token.
package struct EmbedStartSettings: PluginSettings {
    @Field("The host that is called") package var host: String = "localhost"
    @Field("The path of a tenant that has one") package var path: RequestPath = .init(segments: [])
    @Field("The embed token in the page") package var token: String
    @Field("The page, as browsers name it in `Origin`: https://shop.example") package var origin: String?
    @Field("The IP address that the page's visitor has") package var address: IPAddress = .documentation

    package init() {}
}

/// A candidate and whose policy it meets.
package struct CandidateSettings: PluginSettings {
    @Field("The tenant whose policy decides") package var tenant: Reference
    @Field("inbound: the client offers it; outbound: the gateway does") package var direction: CandidateDirection
    @Field("As in SDP: candidate:1 1 udp 2122260223 192.168.1.5 50000 typ host") package var candidate: String

    package init() {}
}

/// Which way a candidate goes.
package enum CandidateDirection: String, FieldChoice {
    /// From the client.
    case inbound
    /// From the gateway.
    case outbound
}

/// What should come of a test. `""` is said of what should not be there.
package struct ExpectationSettings: PluginSettings {
    @Field("Whether the socket is opened") package var outcome: TestOutcome?
    @Field("The tenant that the request is for") package var tenant: Reference?
    @Field("The auth instance that decides; anonymous for a caller whom none knows and who is let in")
    package var by: Reference?
    @Field("Who the caller is, to that instance") package var user: String?
    @Field("The caller's organisation") package var organization: String?
    @Field("The workflow that is called") package var workflow: Int?
    @Field("The run that is called") package var run: Int?
    @Field("The pipeline that answers") package var pipeline: Reference?
    @Field("What the caller's client is told of the call") package var events: EventExposure?
    @Field("Why the caller is refused, as the log has it: invalid_token") package var code: String?
    @Field("The HTTP status of the answer; 101 opens the socket") package var status: Int?
    @Field("Whether the candidate is used") package var kept: Bool?

    package init() {}
}

extension IPAddress {
    /// 192.0.2.1, which nobody has (RFC 5737).
    fileprivate static let documentation = IPAddress(address: SocketAddress(ipv4: 0xc000_0201, port: 0))
}

/// What becomes of a caller.
package enum TestOutcome: String, FieldChoice {
    case accepted, refused
}

/// `/api/v1/ws/signaling/7/12`
package struct RequestPath: FieldScalar, Hashable {
    /// What stands between the slashes; empty ones are left out.
    package var segments: [String]

    package init(segments: [String]) {
        self.segments = segments
    }

    package static let noun = "a path that starts with /, without a query"
    package static let schema: JSONValue = ["type": "string", "pattern": "^(/|\\$\\{)"]

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> RequestPath? {
        if case .scalar(let scalar) = node.content, scalar.text.contains("?") {
            // A token may stand in it, so it is not shown.
            reader.fault(
                at: node, "expected \(noun)", help: "what stands in the query is written as `token` or `api_key`")
            return nil
        }
        guard let text = reader.text(of: node, expected: noun) else { return nil }
        guard let path = decode(text) else {
            reader.mismatch(at: node, expected: noun)
            return nil
        }
        return path
    }

    package static func decode(_ text: String) -> RequestPath? {
        guard text.hasPrefix("/"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && !"?#%".utf8.contains($0) }) else {
            return nil
        }
        return RequestPath(segments: text.split(separator: "/").map(String.init))
    }

    package var written: JSONValue { .string("/" + segments.joined(separator: "/")) }
}
