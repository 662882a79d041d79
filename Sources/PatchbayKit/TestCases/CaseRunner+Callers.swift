import PatchbayConfig
import PatchbayPlugin
import Signaling
import Wire

extension CaseRunner {
    /// What becomes of a caller.
    mutating func findings(_ connect: ConnectSettings, on stage: inout CaseStage) async throws -> Findings {
        var request = Self.request(
            "GET", host: connect.host, path: connect.path.segments, origin: connect.origin, address: connect.address)
        request.query["token"] = try await text(of: connect.token, on: &stage)
        request.query["api_key"] = try await text(of: connect.apiKey, on: &stage)
        return try await findings(request, on: &stage)
    }

    /// What becomes of a page's visitor: the page trades its token for a session, and opens the session's socket.
    mutating func findings(_ embed: EmbedStartSettings, on stage: inout CaseStage) async throws -> Findings {
        let prefix = embed.path.segments + Router.prefix
        var start = Self.request(
            "POST", host: embed.host, path: prefix + ["public", "embed", "init"], origin: embed.origin,
            address: embed.address)
        start.headers["content-type"] = "application/json"
        start.body = Array((["token": .string(embed.token)] as JSONValue).description.utf8)
        start = start.seen(through: deployment.server.trustedProxies)

        var findings = Findings()
        guard let (tenant, path) = try self.tenant(of: start, on: &stage) else { return Self.withoutTenant }
        findings["tenant"] = tenant.name
        try await self.start(for: tenant)
        let served = try await within(patience) { [start, logger] in
            await tenant.pluginResponse(to: start, path: path, turn: TURNAccess(), logger: logger)
        }
        let response = served?.0 ?? Router.notFound
        let answer = try? JSONValue(parsing: response.body)
        guard response.status == 200, let session = answer?["session_token"]?.string else {
            (findings["outcome"], findings["status"]) = ("refused", "\(response.status)")
            findings.reason = answer?["detail"]?.plain
            if let denial = served?.1 { findings.refuse(denial, status: response.status) }
            if served == nil { findings.findNoEmbedAuth() }
            if response.status >= 500 { findings.accident = findings.reason ?? "status \(response.status)" }
            return findings
        }
        let socket = Self.request(
            "GET", host: embed.host, path: prefix + ["ws", "public", "signaling", session], origin: embed.origin,
            address: embed.address)
        return try await self.findings(socket, on: &stage)
    }

    private mutating func findings(_ request: Request, on stage: inout CaseStage) async throws -> Findings {
        let request = request.seen(through: deployment.server.trustedProxies)
        guard let (tenant, path) = try self.tenant(of: request, on: &stage) else { return Self.withoutTenant }
        var findings = Findings()
        findings["tenant"] = tenant.name
        guard let attempt = SocketAttempt(request, tenant: tenant, path: path) else {
            findings.lead(astray: .noSocket)
            return findings
        }
        try await start(for: tenant)
        do {
            let target = try await within(patience) { [logger] in
                try await attempt.target(of: attempt.principal(logger: logger), logger: logger)
            }
            findings.accept(target, tenant)
            findings["pipeline"] = configuration.tenants.first { $0.name == tenant.name }?
                .pipeline(forWorkflow: target.workflowID)
        } catch let refusal as SocketAttempt.Refusal {
            findings.refuse(refusal.denial, status: refusal.response.status)
            if case .unavailable(let detail, _) = refusal { findings.accident = detail }
        }
        return findings
    }

    private static var withoutTenant: Findings {
        var findings = Findings()
        findings.lead(astray: .noTenant)
        return findings
    }

    private static func request(
        _ method: String, host: String, path: [String], origin: String?, address: IPAddress
    ) -> Request {
        Request(
            method: method, rawPath: "/" + path.joined(separator: "/"), path: path,
            headers: origin.map { ["origin": $0] } ?? [:], remoteAddress: address.address.host,
            host: host.lowercased())
    }

    // MARK: - Credentials

    /// The text of a credential, which goes nowhere but into the request.
    private mutating func text(of credential: TestCredential?, on stage: inout CaseStage) async throws -> String? {
        guard let credential else { return nil }
        guard case .minted(let minting) = credential else { return try credential.fetch(environment: environment) }
        guard let minter = try stage.authPlugin(minting.instance) as? any TokenMinter else {
            throw CaseFailure("auth.\(minting.instance) makes no tokens")
        }
        try await start(stage.instances.filter { $0.kind == .auth && $0.name == minting.instance })
        let request = TokenRequest(
            user: minting.user, organization: minting.organization, workflowID: minting.workflow,
            lifetime: minting.lifetime,
            // It may be written down: into a store that forgets it.
            isSaved: true, expiresAfter: minting.lifetime)
        do {
            return try await clock.ago(minting.age) {
                try await within(patience) { try await minter.mint(request) }
            }
        } catch let fault as SettingsFault {
            // It names the options of `patchbay token`, which are keys here.
            throw CaseFailure(fault.description.replacing(" --", with: " "))
        }
    }
}

extension Findings {
    fileprivate mutating func accept(_ target: SignalingSession.Target, _ tenant: Tenant) {
        let caller = target.principal
        self["outcome"] = "accepted"
        self["status"] = "101"
        self["by"] = caller.authInstance ?? EventsChoice.anonymous
        self["user"] = caller.id
        self["organization"] = caller.organization
        self["workflow"] = "\(target.workflowID)"
        self["run"] = "\(target.workflowRunID)"
        self["events"] = tenant.exposure(to: caller).rawValue
    }

    fileprivate mutating func refuse(_ denial: Denial, status: Int) {
        self["outcome"] = "refused"
        self["status"] = "\(status)"
        self["by"] = denial.authInstance
        self["code"] = denial.code
        reason = ["\(denial.code): \(denial.message)", denial.detail].compactMap(\.self).joined(separator: ": ")
    }

    /// A word of tests alone: a gateway answers 404, as wherever nobody serves anything, and writes nothing down.
    fileprivate mutating func findNoEmbedAuth() {
        let sentence = "pages start no sessions there"
        self["code"] = "no_embed_auth"
        reason = "no_embed_auth: \(sentence)"
        astray = sentence
    }

    fileprivate mutating func lead(astray denial: Denial) {
        refuse(denial, status: 403)
        astray = denial.message
    }
}
