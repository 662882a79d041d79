// swift-tools-version: 6.2
import PackageDescription

/// What every target of ours is compiled with.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let nio = "swift-nio"
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

/// The plugins that come with Patchbay: folder under `Plugins/`, and the packages it needs beside PatchbayPlugin.
/// Each is a trait of its own, on by default; leaving one out leaves its packages out of the build.
let plugins: [(name: String, kind: String, needs: [Target.Dependency])] = [
    ("JWTAuth", "Auth", ["OutboundHTTP", .product(name: "JWTKit", package: "jwt-kit")]),
    ("APIKeyAuth", "Auth", [.product(name: "Crypto", package: "swift-crypto")]),
    ("HTTPAuth", "Auth", ["OutboundHTTP", .product(name: "Crypto", package: "swift-crypto")]),
    ("EmbedTokenAuth", "Auth", [.product(name: "Crypto", package: "swift-crypto")]),
    ("ConcurrencyQuota", "Quota", []),
    ("CallMinutesQuota", "Quota", []),
    (
        "DograhQuota", "Quota",
        [
            "OutboundHTTP",
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "NIOCore", package: nio), .product(name: "NIOPosix", package: nio),
            .product(name: "NIOHTTP1", package: nio), .product(name: "NIOSSL", package: "swift-nio-ssl"),
        ]
    ),
    ("DograhSlotsQuota", "Quota", ["Redis"]),
    ("EchoPipeline", "Pipeline", []),
    ("ParrotPipeline", "Pipeline", []),
    ("PlayerPipeline", "Pipeline", []),
    ("WebSocketPipeline", "Pipeline", ["WebSocket"]),
    ("ICEPolicies", "ICEPolicy", []),
    ("MemoryStore", "Store", []),
    ("RedisStore", "Store", ["Redis"]),
    ("SQLiteStore", "Store", [.product(name: "GRDB", package: "GRDB.swift")]),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["TestSupport"], path: "Tests/\(name)", swiftSettings: strict)
}

let package = Package(
    name: "patchbay",
    products: [
        .executable(name: "patchbay", targets: ["patchbay"]),
        .library(name: "PatchbayPlugin", targets: ["PatchbayPlugin"]),
        .library(name: "PatchbayKit", targets: ["PatchbayKit"]),
        .library(name: "PatchbayBuiltin", targets: ["PatchbayBuiltin"]),
        .library(name: "PatchbayTesting", targets: ["PatchbayTesting"]),
    ],
    traits: Set(plugins.map { .trait(name: $0.name) } + [.default(enabledTraits: Set(plugins.map(\.name)))]),
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSRTP", pkgConfig: "libsrtp2", providers: [.apt(["libsrtp2-dev"])]),
        .systemLibrary(name: "COpus", pkgConfig: "opus", providers: [.apt(["libopus-dev"])]),
        .systemLibrary(name: "CSpeexDSP", pkgConfig: "speexdsp", providers: [.apt(["libspeexdsp-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "CSocket"),

        module("Wire"),
        module("STUN", ["Wire", "COpenSSL"]),
        module("ICE", ["Wire", "STUN"]),
        module("TURN", ["Wire", "STUN", "COpenSSL"]),
        module("SDP", ["Wire"]),
        module("RTP", ["Wire"]),
        module("DTLS", ["Wire", "COpenSSL"]),
        module("SRTP", ["Wire", "CSRTP"]),
        module("Audio", ["Wire", "COpus", "CSpeexDSP"]),
        module("WebRTC", ["Wire", "STUN", "ICE", "SDP", "RTP", "DTLS", "SRTP", "Audio"]),
        module("Media", ["Wire", "STUN", "ICE", "TURN", "WebRTC", "Audio", "DTLS", "SRTP", "CSocket"]),
        module("PatchbayPlugin", [log]),
        module("PatchbayConfig", ["PatchbayPlugin", "Wire", "CYAML"]),
        module(
            "WebSocket",
            [
                .product(name: "NIOCore", package: nio), .product(name: "NIOPosix", package: nio),
                .product(name: "NIOHTTP1", package: nio), .product(name: "NIOWebSocket", package: nio),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        module(
            "OutboundHTTP",
            [
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: nio), .product(name: "NIOHTTP1", package: nio),
            ]),
        module(
            "Redis",
            [
                "PatchbayPlugin", .product(name: "NIOCore", package: nio), .product(name: "NIOPosix", package: nio),
                .product(name: "NIOSSL", package: "swift-nio-ssl"), .product(name: "Crypto", package: "swift-crypto"),
            ]),
        .target(
            name: "Signaling",
            dependencies: [
                "PatchbayPlugin", "WebSocket",
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOCore", package: nio), .product(name: "NIOPosix", package: nio),
                .product(name: "NIOHTTP1", package: nio), .product(name: "NIOWebSocket", package: nio),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                log,
            ],
            resources: [.embedInCode("Playground"), .embedInCode("Embed")],
            swiftSettings: strict),
        .target(
            name: "PatchbayKit",
            dependencies: [
                "Wire", "STUN", "TURN", "SDP", "ICE", "WebRTC", "Media", "Audio", "WebSocket", "Signaling",
                "PatchbayPlugin", "PatchbayConfig",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                log,
            ],
            resources: [.embedInCode("Commands/New/Templates")],
            swiftSettings: strict),
        module("PatchbayTesting", ["PatchbayPlugin", "PatchbayConfig", "MemoryStore", log]),
        .target(
            name: "PatchbayBuiltin",
            dependencies: ["PatchbayKit"] + plugins.map { .target(name: $0.name, condition: .when(traits: [$0.name])) },
            path: "Plugins/Builtin/Sources", swiftSettings: strict),
        .executableTarget(name: "patchbay", dependencies: ["PatchbayKit", "PatchbayBuiltin"], swiftSettings: strict),
        .target(name: "CPacketPath", path: "Benchmarks/PacketPath/Counter"),
        .executableTarget(
            name: "packet-path",
            dependencies: ["Wire", "ICE", "DTLS", "WebRTC", "Audio", "Media", "CPacketPath", "TestSupport"],
            path: "Benchmarks/PacketPath/Sources", swiftSettings: strict),
        .executableTarget(
            name: "quality-replay", dependencies: ["Wire", "Audio", "WebRTC"], path: "Benchmarks/Quality/Replay",
            swiftSettings: strict),
    ]
        + plugins.map {
            .target(
                name: $0.name, dependencies: ["PatchbayPlugin", log] + $0.needs,
                path: "Plugins/\($0.kind)/\($0.name)/Sources", swiftSettings: strict)
        }
        + [
            .target(
                name: "TestSupport", dependencies: ["Wire", "STUN", "TURN", log], path: "Tests/Support",
                swiftSettings: strict),
            tests("STUNTests", ["STUN", "Wire"]),
            tests("ICETests", ["ICE", "STUN", "Wire"]),
            tests("TURNTests", ["TURN", "STUN", "Wire"]),
            tests("SDPTests", ["SDP", "Wire"]),
            tests("RTPTests", ["RTP", "Wire"]),
            tests("DTLSTests", ["DTLS", "Wire", "COpenSSL"]),
            tests("SRTPTests", ["SRTP", "Wire", "CSRTP", "COpenSSL"]),
            tests("AudioTests", ["Audio", "Wire"]),
            tests("Simulation", ["Wire", "STUN", "ICE", "TURN", "SDP", "RTP", "DTLS", "SRTP", "WebRTC", "Audio"]),
            tests("WebRTCTests", ["Wire", "RTP", "SDP", "WebRTC", "Audio"]),
            tests("MediaTests", ["Wire", "STUN", "ICE", "TURN", "WebRTC", "Audio", "Media"]),
            tests("PatchbayConfigTests", ["PatchbayConfig", "PatchbayPlugin"]),
            tests("PatchbayPluginTests", ["PatchbayPlugin", "PatchbayTesting", log]),
            tests(
                "RedisTests",
                [
                    "Redis", "PatchbayPlugin", .product(name: "NIOCore", package: nio),
                    .product(name: "NIOPosix", package: nio),
                ]),
            tests(
                "SignalingTests",
                [
                    "Signaling", "WebSocket", "PatchbayPlugin", .product(name: "NIOCore", package: nio),
                    .product(name: "NIOPosix", package: nio),
                    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"), log,
                ]),
            tests(
                "PatchbayKitTests",
                [
                    "PatchbayKit", "PatchbayBuiltin", "PatchbayConfig", "PatchbayPlugin", "PatchbayTesting",
                    "Signaling", "WebSocket", "Media", "Audio", "WebRTC", "Wire", log,
                ]),
            tests(
                "PluginTests",
                [
                    "PatchbayPlugin", "PatchbayTesting", "OutboundHTTP", "Redis", log,
                    .product(name: "Crypto", package: "swift-crypto"),
                    .product(name: "CryptoExtras", package: "swift-crypto"),
                    .product(name: "GRDB", package: "GRDB.swift"), .product(name: "NIOCore", package: nio),
                    .product(name: "NIOPosix", package: nio), .product(name: "NIOHTTP1", package: nio),
                    .product(name: "AsyncHTTPClient", package: "async-http-client"),
                ] + plugins.map { .target(name: $0.name) }),
        ],
    swiftLanguageModes: [.v6]
)
