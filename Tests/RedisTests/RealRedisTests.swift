import Foundation
import PatchbayPlugin
import Redis
import TestSupport
import Testing

@Suite("A client of a real Redis", .enabled(if: RedisServer.isInstalled), .timeLimit(.minutes(1)))
struct RealRedisTests {
    private func configuration(_ server: RedisServer, scheme: String = "redis", host: String = "127.0.0.1") throws
        -> RedisConfiguration
    {
        var configuration = RedisConfiguration(url: try #require(RedisURL("\(scheme)://\(host):\(server.port)")))
        configuration.timeout = .seconds(5)
        return configuration
    }

    private func opened(_ configuration: RedisConfiguration) async throws -> RedisClient {
        let client = RedisClient(configuration)
        try await client.open()
        return client
    }

    @Test("values go there and back, whatever bytes they have")
    func values() async throws {
        let server = try await RedisServer()
        let client = try await opened(configuration(server))
        for value in [[], [0], Array("\r\n$3\r\n".utf8), Array(repeating: 255, count: 1 << 20)] as [[UInt8]] {
            _ = try await client.send(RedisCommand("SET", "a", .bytes(value)))
            #expect(try await client.send(RedisCommand("GET", "a")) == .string(value))
        }
        let script = RedisScript("return { KEYS[1], ARGV[1], { 1, false } }")
        for _ in 0..<2 {
            #expect(
                try await client.run(script, keys: ["k"], [.integer(7)])
                    == .array([.text("k"), .text("7"), .array([.integer(1), .null])]))
        }
        let asked = try await client.send(RedisCommand("INFO", "commandstats")).text ?? ""
        #expect(asked.contains("cmdstat_eval:calls=1,") && asked.contains("cmdstat_evalsha:calls=2,"))
        await client.close()
    }

    @Test("gets in with the default user's password, and with a user's own, to its database")
    func users() async throws {
        let server = try await RedisServer([
            "--requirepass", "sesame", "--user", "ada", "on", ">lovelace", "~*", "+@all",
        ])
        for (user, password) in [(nil, "sesame"), ("ada", "lovelace")] {
            var configuration = try configuration(server)
            configuration.username = user
            configuration.password = Secret(password)
            configuration.url.database = 3
            let client = try await opened(configuration)
            _ = try await client.send(RedisCommand("SET", "a", .text(password)))
            let info = try await client.send(RedisCommand("CLIENT", "INFO")).text ?? ""
            #expect(info.contains(" db=3 ") && info.contains(" user=\(user ?? "default") "))
            await client.close()
        }
        for (user, password, text) in [
            (nil, nil, "wants a password"), (nil, "open", "(WRONGPASS)"), ("bob", "sesame", "(WRONGPASS)"),
        ] as [(String?, String?, String)] {
            var configuration = try configuration(server)
            configuration.username = user
            configuration.password = password.map { Secret($0) }
            let error = await #expect(throws: RedisError.self) { _ = try await opened(configuration) }
            #expect(error?.description.contains(text) == true, "\(String(describing: error))")
        }
    }

    @Test("is there again after a restart, and scripts are too")
    func restart() async throws {
        let server = try await RedisServer()
        let client = try await opened(configuration(server))
        let script = RedisScript("return redis.call('INCR', KEYS[1])")
        #expect(try await client.run(script, keys: ["n"], []) == .integer(1))
        server.kill()
        try await eventually { (try? await client.run(script, keys: ["n"], [])) == nil }
        try await server.start()
        try await eventually { (try? await client.run(script, keys: ["n"], [])) != nil }
        await client.close()
    }

    @Test("a server that was stopped and goes on answers everybody with their own")
    func stopped() async throws {
        let server = try await RedisServer()
        var configuration = try configuration(server)
        configuration.timeout = .milliseconds(500)
        let client = try await opened(configuration)
        server.pause()
        for number in 0..<3 {
            let error = await #expect(throws: RedisError.self) {
                _ = try await client.send(RedisCommand("ECHO", .text("lost \(number)")))
            }
            #expect(error?.isUncertain == true)
        }
        server.resume()
        try await eventually { (try? await client.send(RedisCommand("ECHO", "mine"))) == .text("mine") }
        await client.close()
    }

    @Test("over TLS, to a server whose certificate is of somebody it trusts, for the name that it was called by")
    func tls() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (certificate, key) = (folder.appending(path: "cert.pem").path, folder.appending(path: "key.pem").path)
        let openssl = Process()
        openssl.executableURL = URL(filePath: "/usr/bin/openssl")
        openssl.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=redis", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate,
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        let server = try await RedisServer(
            ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no"], hasTLS: true)

        var trusting = try configuration(server, scheme: "rediss", host: "localhost")
        trusting.tls = try RedisTLS(trustRoots: certificate)
        let client = try await opened(trusting)
        #expect(try await client.send(RedisCommand("PING")) == .text("PONG"))
        await client.close()

        var stranger = trusting
        stranger.tls = try RedisTLS()
        var otherName = try configuration(server, scheme: "rediss")
        otherName.tls = trusting.tls
        for (configuration, text) in [(stranger, "nobody whom the gateway trusts"), (otherName, "127.0.0.1")] {
            let error = await #expect(throws: RedisError.self) { _ = try await opened(configuration) }
            #expect(error?.description.contains(text) == true, "\(String(describing: error))")
        }
        // One that speaks TLS does not understand who does not.
        let plain = try configuration(server)
        await #expect(throws: RedisError.self) { _ = try await opened(plain) }
    }
}
