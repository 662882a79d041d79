public import Logging
internal import PatchbayConfig
public import PatchbayPlugin

/// What every plugin must do, whatever else it does: one line in a plugin's tests.
///
/// ```swift
/// @Test func conforms() async throws {
///     try await PluginConformance.check(Parrot.self, yaml: "{ pause: 200ms }")
/// }
/// ```
public enum PluginConformance {
    /// Checks that the plugin has a good name, that a misspelled setting is found and the right one suggested, however
    /// deep it stands, and that an instance may be stopped without a start, and twice. Then what its kind must do:
    ///
    /// - a pipeline ends within 1 s when it is cancelled;
    /// - an auth plugin accepts neither nothing nor nonsense;
    /// - a quota that admits a call gives the seat back, and bears being told twice;
    /// - an ICE policy says the same of one candidate each time;
    /// - a store keeps what it is given, hands it out once, lists its keys, and counts its leases.
    ///
    /// - Parameters:
    ///   - yaml: settings that the plugin accepts.
    ///   - environment: variables for secrets and `${NAME}`.
    ///   - stores: what the settings may name as stores.
    ///   - logger: the instance's, and its calls'; unless it is given, nothing is written.
    /// - Throws: a ``ConformanceFault`` that says which of these does not hold; what the plugin itself throws.
    public static func check<P: Plugin>(
        _ plugin: P.Type, yaml: String = "", environment: [String: String] = [:],
        stores: [String: any StorePlugin] = [:],
        logger: Logger = Logger(label: "patchbay.test", factory: { _ in SwiftLogNoOpLogHandler() })
    ) async throws {
        try checkName(plugin)
        try checkTypos(plugin, P.Settings().fields)
        let make = { try P.configured(yaml, environment: environment, stores: stores, logger: logger) }
        try await make().stop()
        let instance = try make()
        try await instance.start()
        do {
            if let pipeline = instance as? any PipelinePlugin { try await checkPipeline(pipeline, logger) }
            if let auth = instance as? any AuthPlugin { try await checkAuth(auth) }
            if let quota = instance as? any QuotaPlugin { try await checkQuota(quota) }
            if let policy = instance as? any ICEPolicyPlugin { try checkPolicy(policy) }
            if let store = instance as? any StorePlugin { try await checkStore(store) }
        } catch {
            await instance.stop()
            throw error
        }
        await instance.stop()
        await instance.stop()
    }

    private static func checkName<P: Plugin>(_ plugin: P.Type) throws(ConformanceFault) {
        let isSnakeCase =
            P.type.first?.isLowercase == true
            && P.type.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "_") }
        try expect(isSnakeCase, "its type is '\(P.type)', which is not in snake_case")
        try expect(!P.summary.isEmpty && !P.summary.contains("\n"), "its summary is not one sentence")
    }

    /// - Parameter place: YAML of the settings, of what stands where the fields do.
    private static func checkTypos<P: Plugin>(
        _ plugin: P.Type, _ fields: [NamedField], in place: (String) -> String = { $0 }
    ) throws(ConformanceFault) {
        for field in fields {
            let typo = field.name + "x"
            do {
                _ = try decodeSettings(P.Settings.self, yaml: place("{ \(typo): 1 }"))
                throw ConformanceFault("a setting '\(typo)' is accepted")
            } catch let faults as Faults {
                let text = faults.description
                try expect(
                    text.contains("unknown key '\(typo)'") && text.contains("did you mean '\(field.name)'"),
                    "'\(typo)' is not found to be a misspelled '\(field.name)': \(text)")
            } catch let fault as ConformanceFault {
                throw fault
            } catch {
                throw ConformanceFault("'\(typo)' gives \(error)")
            }
            try checkTypos(plugin, field.field.nested) { inner in
                place("{ \(field.name): \(element(inner, at: field.field.step[...])) }")
            }
        }
    }

    /// YAML of what holds a value.
    ///
    /// - Parameter step: how the value stands in it: `[]` in a list, `.NAME` in a map, both in what holds such.
    private static func element(_ value: String, at step: Substring) -> String {
        if step.hasPrefix("[]") { return "[\(element(value, at: step.dropFirst(2)))]" }
        if step.hasPrefix(".NAME") { return "{ NAME: \(element(value, at: step.dropFirst(5))) }" }
        return value
    }

    // MARK: - Kinds

    private static func checkPipeline(_ pipeline: any PipelinePlugin, _ logger: Logger) async throws {
        let caller = SilentCaller(rate: pipeline.audio.inputRate, logger: logger)
        let running = Task {
            // What it throws then is its own affair.
            try? await pipeline.run(caller.call, audio: caller.audio)
            return ContinuousClock.now
        }
        try await Task.sleep(for: .milliseconds(200))
        let time = await cancel(running)
        try expect(time < .seconds(1), "`run` ends \(time) after it was cancelled, and has 1 s")
    }

    /// Cancels a task, and waits for it.
    ///
    /// - Parameter running: returns when it ended.
    /// - Returns: how much later it ended than one that only sleeps: on a machine that is busy everything ends late.
    static func cancel(_ running: Task<ContinuousClock.Instant, Never>) async -> Duration {
        let control = Task {
            try? await Task.sleep(for: .seconds(3600))
            return ContinuousClock.now
        }
        running.cancel()
        control.cancel()
        return await control.value.duration(to: running.value)
    }

    private static func checkAuth(_ auth: any AuthPlugin) async throws {
        let runs = WorkflowRuns(store: try MemoryStore.configured(), tenant: "default")
        var request = ConnectRequest(tenant: "default", runs: runs)
        for credential in [nil, "", "nonsense", "a.b.c", String(repeating: "x", count: 4096)] as [String?] {
            (request.bearerToken, request.apiKey, request.sessionToken) = (credential, credential, credential)
            let outcome = try await auth.authenticate(request)
            if case .accept = outcome {
                throw ConformanceFault(
                    "a caller with \(credential.map { "'\($0.prefix(16))'" } ?? "nothing") is accepted")
            }
        }
    }

    private static func checkQuota(_ quota: any QuotaPlugin) async throws {
        let request = CallRequest(
            callID: "conformance", tenant: "default", principal: Principal(id: "7"), workflowID: 1, workflowRunID: 1)
        for _ in 0..<3 {
            guard case .admit(let lease) = try await quota.admit(request) else {
                throw ConformanceFault("a call is denied, though all before it were given back")
            }
            try await quota.renew(lease)
            await quota.release(lease, usage: CallUsage(duration: .seconds(1)))
            await quota.release(lease, usage: CallUsage(duration: .seconds(1)))
        }
    }

    private static func checkPolicy(_ policy: any ICEPolicyPlugin) throws(ConformanceFault) {
        for kind in [Candidate.Kind.host, .serverReflexive, .peerReflexive, .relay] {
            for address in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "x.local", ""] {
                let candidate = Candidate(kind: kind, address: address, port: 9)
                for direction in [Direction.inbound, .outbound] {
                    let first = policy.keeps(candidate, direction)
                    try expect(policy.keeps(candidate, direction) == first, "it changes its mind about \(candidate)")
                }
            }
        }
    }

    private static func checkStore(_ store: any StorePlugin) async throws {
        let key = "conformance:\(UInt64.random(in: 0...UInt64.max))"
        try expect(try await store.get(key) == nil, "a key that was never set has a value")
        try await store.set(key, [1, 0, 255], timeToLive: .seconds(60))
        try expect(try await store.get(key) == [1, 0, 255], "what was set does not come back")
        try expect(try await !store.add(key, [2], timeToLive: .seconds(60)), "`add` writes over what is there")
        try expect(try await store.take(key) == [1, 0, 255], "`take` does not hand out what is there")
        try expect(try await store.take(key) == nil, "`take` hands out twice")
        try expect(try await store.add(key, [2], timeToLive: .seconds(60)), "`add` does not write where nothing is")
        _ = try await store.take(key)
        let counts = [
            try await store.increment(key + "n", limit: 2), try await store.increment(key + "n", limit: 2),
            try await store.increment(key + "n", limit: 2),
        ]
        try expect(counts == [1, 2, nil], "`increment` to 2 counts \(counts)")
        let counters = [try await store.counter(key + "n"), try await store.counter(key + "none")]
        try expect(counters == [2, 0], "a counter that counted 2, and one that counted nothing, are \(counters)")
        var sums: [[Int]] = []
        let changes: [(member: String, change: CounterShare.Change)] = [
            ("a", .draw(upTo: 5, limit: 7)), ("a", .draw(upTo: 5, limit: 7)), ("b", .draw(upTo: 3, limit: 7)),
            ("b", .draw(upTo: 1, limit: 7)), ("a", .settle(4)), ("a", .settle(4)), ("a", .draw(upTo: 9, limit: 99)),
        ]
        for (member, change) in changes {
            let (share, count) = try await store.share(key + "m", member: member, change, timeToLive: .seconds(60))
            sums.append([share, count])
        }
        try expect(
            sums == [[5, 5], [5, 5], [2, 7], [2, 7], [4, 6], [4, 6], [4, 6]],
            "shares that are drawn and settled, and counted together, are \(sums)")
        let sum = try await store.counter(key + "m")
        try expect(sum == 6, "the `counter` of shares that come to 6 is \(sum)")
        for member in ["a", "b", "a"] {
            try expect(
                try await store.lease(key + "s", member: member, limit: 2, timeToLive: .seconds(60)),
                "a set that has room, or the member already, does not take it")
        }
        let third = try await store.lease(key + "s", member: "c", limit: 2, timeToLive: .seconds(60))
        try expect(!third, "a set of two takes a third")
        try await store.release(key + "s", member: "a")
        try await store.release(key + "s", member: "a")
        let count = try await store.count(key + "s")
        try expect(count == 1, "a set of one counts \(count)")
        try await checkKeys(store, key)
        try await store.release(key + "s", member: "b")
    }

    /// - Parameter key: what has counters and sets, and no values.
    private static func checkKeys(_ store: any StorePlugin, _ key: String) async throws {
        // Each of these means more than itself in the patterns of some engine.
        let odd = ["*", "?", "_", "%", "[a]", "\\", "\u{301}"].map { key + $0 }
        for each in odd + [key + "x", key + "*y"] { try await store.set(each, [1], timeToLive: .seconds(60)) }
        for each in odd {
            let found = try await store.keys(startingWith: each, limit: 100).sorted()
            let expected = each == key + "*" ? [each, each + "y"] : [each]
            try expect(found == expected, "the keys that start with '\(each)' are \(found)")
        }
        let some = try await store.keys(startingWith: key, limit: 2)
        try expect(Set(some).count == 2 && some.count == 2, "the keys of something, at most 2, are \(some)")
        let none = try await store.keys(startingWith: key, limit: 0) + store.keys(startingWith: key, limit: -1)
        try expect(none == [], "none of the keys are \(none)")
        for each in odd + [key + "x", key + "*y"] { _ = try await store.take(each) }
        let left = try await store.keys(startingWith: key, limit: 100)
        try expect(left == [], "keys that have no value are listed: \(left)")
    }

    private static func expect(_ holds: Bool, _ fault: String) throws(ConformanceFault) {
        if !holds { throw ConformanceFault(fault) }
    }
}

/// What a plugin does that no plugin may do.
public struct ConformanceFault: Error, CustomStringConvertible {
    /// In words.
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
