package import PatchbayPlugin

/// A tenant as it is written.
struct TenantSettings: PluginSettings {
    @Field("Which requests are this tenant's") var match: TenantMatches
    @Field("Chain of auth instances: the first that accepts wins") var auth: [Reference] = []
    @Field("Whether callers are let in whom no auth instance knows") var allowAnonymous: Bool = false
    @Field("Pages of which origins may call beside the gateway's own; unless set, any with a credential")
    var origins: OriginsChoice?
    @Field("Quotas, all of which must admit a call") var quotas: [Reference] = []
    @Field("Who answers") var pipeline: Reference
    @Field("Who answers instead, by workflow id") var pipelines: [String: Reference] = [:]
    @Field("Which workflow runs may be called: any, or only those in the store") var runs: RunsMode = .open
    @Field(
        "How long a run that nobody registered cannot be called again", in: .seconds(86_400)...(.seconds(86_400 * 3650))
    )
    var keepRuns: Duration = .seconds(86_400 * 30)
    @Field("Where its runs are kept; by default the only store, or memory when there is none") var store: Reference?
    @Field("The embed token that the page at / calls with; there is no such page without one") var playground: String?
    @Field("Policies for ICE candidates") var ice: ICEChoice = .policies(.init())
    @Field("What a caller's client is told of the call") var events: EventsChoice = .init()
    @Field("When a call ends by itself, and how many sockets there may be") var limits: LimitSettings = .init()

    /// nil where it is missing or faulty.
    var writtenMatch: TenantMatches? { _match.decoded }
    /// nil where it is missing or faulty.
    var writtenPipeline: Reference? { _pipeline.decoded }
}

/// Which workflow runs a tenant's callers may call.
package enum RunsMode: String, FieldChoice {
    /// Any, each once; a run is entered into the store when it is first called.
    case open
    /// Those that were entered into the store for their organisation, each once.
    case registered
}

/// What a client may see of a call's events.
package enum EventExposure: String, FieldChoice {
    /// Nothing but what calling takes.
    case none
    /// Who speaks, and what.
    case transcript
    /// Everything; and it may send messages to the pipeline.
    case all
}

/// When a call ends by itself, and how many sockets there may be.
package struct LimitSettings: PluginSettings {
    @Field("Longest call", in: .seconds(1)...(.seconds(86_400))) package var call: Duration = .seconds(1800)
    @Field("Longest wait for media to connect", in: .seconds(1)...(.seconds(600)))
    package var connect: Duration = .seconds(60)
    @Field("How long nobody speaks, neither caller nor pipeline", in: .seconds(1)...(.seconds(86_400)))
    package var idle: Duration = .seconds(300)
    @Field("How long a call waits for its caller when the socket is lost", in: .zero ... .seconds(120))
    package var grace: Duration = .seconds(10)
    @Field("Signaling sockets that are open at once; unless set, any number", in: 1...LimitSettings.mostSockets)
    package var sockets: Int?

    /// Of all tenants together, other connections included.
    package static let mostSockets = 1000

    package init() {}
}

/// The name of an instance, and where it is written.
package struct Reference: FieldValue {
    package var name: String
    /// nil for a default.
    var node: SettingsNode?

    package static let noun = "a name"
    package static let schema = String.schema

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> Reference? {
        reader.text(of: node, expected: noun).map { Reference(name: $0, node: node) }
    }

    package var written: JSONValue { .string(name) }
}

/// Which requests are a tenant's.
package enum TenantMatch: Hashable, Sendable, CustomStringConvertible {
    /// All that no other tenant takes.
    case any
    /// Those with this `Host`, in lower case and without a port.
    case host(String)
    /// Those whose path is this or goes on below it; starts with `/` and does not end with one.
    case path(String)

    package var description: String {
        switch self {
        case .any: "any"
        case .host(let name): "host \(name)"
        case .path(let path): "path \(path)"
        }
    }
}

/// One match, or a list of them.
struct TenantMatches: FieldValue {
    var matches: [(match: TenantMatch, node: SettingsNode)]

    static let noun = "any, { host: NAME } or { path: /PREFIX }"
    static var schema: JSONValue {
        let one: [JSONValue] = [["const": "any"], .variableSchema, One.schema]
        return ["anyOf": .array(one + [["type": "array", "minItems": 1, "items": ["anyOf": .array(one)]]])]
    }

    /// What stands in `{ }`.
    fileprivate struct One: PluginSettings {
        @Field("The request's host") var host: HostName?
        @Field("How the request's path starts") var path: PathPrefix?
    }

    static func read(_ node: SettingsNode, _ reader: SettingsReader) -> TenantMatches? {
        guard case .list(let nodes) = node.content else {
            return one(node, reader).map { TenantMatches(matches: [($0, node)]) }
        }
        let matches = nodes.compactMap { node in one(node, reader).map { ($0, node) } }
        if nodes.isEmpty { reader.mismatch(at: node, expected: noun) }
        return matches.isEmpty || matches.count < nodes.count ? nil : TenantMatches(matches: matches)
    }

    private static func one(_ node: SettingsNode, _ reader: SettingsReader) -> TenantMatch? {
        if case .scalar(let scalar) = node.content, scalar.text == "any" {
            reader.show(node)
            return .any
        }
        guard case .map = node.content else {
            reader.mismatch(at: node, expected: noun)
            return nil
        }
        guard let one = One.read(node, reader) else { return nil }
        switch (one.host, one.path) {
        case (let host?, nil): return .host(host.name)
        case (nil, let path?): return .path(path.path)
        case (nil, nil), (_?, _?):
            reader.fault(
                at: node, "expected either a host or a path", help: "a list holds several: [{ host: a }, { path: /b }]")
            return nil
        }
    }

    var written: JSONValue { .array(matches.map { .string($0.match.description) }) }
}

extension TenantMatches: FieldContainer {
    static var element: any FieldValue.Type { One.self }
}

private struct HostName: FieldScalar {
    var name: String

    static let noun = "a host name without a port"
    static let schema: JSONValue = ["type": "string"]
    static func decode(_ text: String) -> HostName? {
        isHostName(text) ? HostName(name: text.lowercased()) : nil
    }
    static func advice(for text: String) -> String? {
        if text.contains("://") { return "without the scheme, the path and the port: voice.acme.example" }
        if text.contains("*") { return "there are no wildcards: write each host, as in [{ host: a }, { host: b }]" }
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return "write it as it is in the DNS: xn--bcher-kva.example" }
        if text.contains("/") { return "a path is a match of its own: { path: /t/acme }" }
        if text.hasSuffix("."), isHostName(text.dropLast()) { return "without the dot at its end" }
        if text.contains("_") { return "no name of a host has a _ in it" }
        if text.hasPrefix("[") || text.split(separator: ":", omittingEmptySubsequences: false).count > 2 {
            return "an IPv6 address is no name; match it with any, or by path"
        }
        return text.contains(":") ? "requests at any port match" : nil
    }
    var written: JSONValue { .string(name) }
}

private struct PathPrefix: FieldScalar {
    var path: String

    static let noun = "a path that starts with / and does not end with it"
    static let schema: JSONValue = ["type": "string", "pattern": #"^/|\$\{"#]
    static func decode(_ text: String) -> PathPrefix? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let isPlain = parts.dropFirst().allSatisfy { part in
            !part.isEmpty && part != "." && part != ".."
                && part.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"?#%\\".utf8.contains($0) }
        }
        return parts.count >= 2 && parts[0].isEmpty && isPlain && !isReserved(text) ? PathPrefix(path: text) : nil
    }
    static func advice(for text: String) -> String? {
        isReserved(text) ? "requests of every tenant start like this; write for example /t/acme" : nil
    }
    /// Whether the gateway's own routes, or those of plugins that come with it, start so: such a prefix would take them away
    /// from all others.
    private static func isReserved(_ text: String) -> Bool {
        ["api", "embed", "2010-04-01"].contains(text.split(separator: "/").first)
    }
    var written: JSONValue { .string(path) }
}
