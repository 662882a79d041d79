import PatchbayConfig
import PatchbayPlugin

struct SQLiteSettings: PluginSettings {
    @Field("Path of the database file") var path: OwnFile
}

enum Algorithm: String, FieldChoice {
    case hs256 = "HS256"
    case rs256 = "RS256"
}

struct JWTSettings: PluginSettings {
    @Field("Algorithms that are accepted") var algorithms: [Algorithm]
    @Field("Key of the HS algorithms") var secret: Secret
    @Field("Who must have signed") var issuer: String?
    @Field("Clock difference that is forgiven") var leeway: Duration = .seconds(30)
}

struct EmbedSettings: PluginSettings {
    @Field("Where sessions are kept") var store: StoreReference
    @Field("Tokens that stand in pages") var tokens: [EmbedToken]

    struct EmbedToken: PluginSettings {
        @Field("The token") var token: String
        @Field("The workflow it starts", in: 1...1_000_000) var workflow: Int
        @Field("Hosts of the pages it may stand in") var allowedDomains: [String] = []
        @Field("Whether it is good") var active: Bool = true
        @Field("Handed to the page") var settings: JSONValue = [:]
    }
}

struct ConcurrencySettings: PluginSettings {
    @Field("Calls at the same time", in: 1...10_000) var limit: Int
    @Field("Where to count") var store: StoreReference?
}

struct ParrotSettings: PluginSettings {
    @Field("How long the caller is quiet before the answer starts") var pause: Duration = .milliseconds(600)
    @Field("Longest answer") var longest: Duration = .seconds(10)
}

struct NoSettings: PluginSettings {}

let catalogue: PluginCatalogue = [
    .store: [
        PluginDescription(type: "sqlite", summary: "A file.", settings: SQLiteSettings.self),
        PluginDescription(type: "memory", summary: "The process.", settings: NoSettings.self, isPredeclared: true),
    ],
    .auth: [
        PluginDescription(type: "jwt", summary: "JSON Web Tokens.", settings: JWTSettings.self),
        PluginDescription(type: "embed_token", summary: "Tokens in pages.", settings: EmbedSettings.self),
    ],
    .quota: [PluginDescription(type: "concurrency", summary: "Seats.", settings: ConcurrencySettings.self)],
    .pipeline: [
        PluginDescription(type: "parrot", summary: "Repeats the caller.", settings: ParrotSettings.self),
        PluginDescription(type: "echo", summary: "Sends back.", settings: NoSettings.self),
    ],
    .icePolicy: ["none", "private", "public", "all"].map {
        PluginDescription(type: $0, summary: "Drops \($0).", settings: NoSettings.self, isPredeclared: true)
    },
]

/// The faults of a text, printed; empty when it has none.
func faults(
    in text: String, environment: [String: String] = [:],
    files: [String: [UInt8]] = ["data/jwt.secret": Array("k\n".utf8)]
) -> String {
    do {
        _ = try load(text, environment: environment, files: files)
        return ""
    } catch {
        return error.description
    }
}

struct NoSuchFile: Error, CustomStringConvertible {
    var description: String { "No such file or directory" }
}

func load(
    _ text: String, environment: [String: String] = [:],
    files: [String: [UInt8]] = ["data/jwt.secret": Array("k\n".utf8)]
) throws(Faults) -> GatewayConfiguration {
    try GatewayConfiguration.load(
        text: text, environment: environment,
        readFile: { path in
            guard let bytes = files[path] else { throw NoSuchFile() }
            return bytes
        }, catalogue: catalogue)
}

/// The repository's config.yaml.
let stockPath = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/config.yaml"
