import PatchbayPlugin
import Synchronization
import TestSupport
import Testing

@testable import DograhQuota

/// One question about a run: whose it is, what is known about it, and what the billing service says.
struct DograhFixture: Sendable {
    var mode = DograhQuota.Mode.hosted
    var start = RunStart(organization: "9", actor: "7", workflowID: 7, runID: 88)
    var known = FakeDirectory.Content()
    /// By the last two parts of the path.
    var answers: [String: BillingAnswer] = [:]

    init(_ mode: DograhQuota.Mode = .hosted) {
        self.mode = mode
    }

    /// What came of it.
    struct Outcome {
        var denial: Denial?
        var correlationID: String?
        var requests: [BillingRequest]
        var lookUps: [FakeDirectory.LookUp]
        var saved: [String]

        /// The path of each request, without what all have in common.
        var paths: [String] { requests.map { String($0.url.dropFirst("http://billing/api/v1/".count)) } }
    }

    func outcome() async -> Outcome {
        let directory = FakeDirectory(known)
        let asked = Mutex<[BillingRequest]>([])
        let answers = answers
        let service = BillingService(
            url: "http://billing", secretKey: Secret(Leaks.secret("a secret key", "s3cret-of-the-gateway"))
        ) { request in
            asked.withLock { $0.append(request) }
            let name = request.url.split(separator: "/").suffix(2).joined(separator: "/")
            guard let answer = answers[name] ?? answers["*"] else {
                Issue.record("nobody should ask \(name)")
                throw BillingFailure.other("nobody answers")
            }
            return try answer.reply()
        }
        let authorization = Authorization(
            mode: mode, directory: directory, billing: service, logger: .watched)
        var (denial, correlationID): (Denial?, String?)
        do throws(Denial) {
            correlationID = try await authorization.authorize(start)
        } catch {
            denial = error
        }
        return Outcome(
            denial: denial, correlationID: correlationID, requests: asked.withLock { $0 },
            lookUps: directory.lookUps, saved: directory.saved)
    }
}

/// What somebody answers in the billing service's place.
enum BillingAnswer: Sendable {
    case status(Int, String)
    case failure(BillingFailure)
    /// An error that nobody has thought of.
    case surprise

    /// 200, and this.
    static func ok(_ body: JSONValue) -> BillingAnswer { .status(200, body.description) }

    static let unreachable = BillingAnswer.failure(.transport("connection refused"))

    func reply() throws -> BillingReply {
        switch self {
        case .status(let status, let body): return BillingReply(status: status, body: Array(body.utf8))
        case .failure(let failure): throw failure
        case .surprise: throw Unreachable()
        }
    }
}

/// A directory that knows one run of one workflow, and fails where the test says.
final class FakeDirectory: Directory {
    enum LookUp: Sendable {
        case workflow, member, owner, run, configuration, save
    }

    struct Content: Sendable {
        var workflow: Workflow? = Workflow(id: 7, organization: "9")
        var isMember = true
        var owner: String? = "123"
        var run: Run? = Run(id: 88, workflowID: 7, organization: "9")
        var configuration = ModelConfiguration.managed("mps_sk_1f0c9d8e7b6a")
        var isGoneAtTheEnd = false
        var failing: LookUp?
    }

    private let content: Content
    private let state = Mutex<(lookUps: [LookUp], saved: [String])>(([], []))

    init(_ content: Content) {
        self.content = content
    }

    var lookUps: [LookUp] { state.withLock { $0.lookUps } }
    var saved: [String] { state.withLock { $0.saved } }

    private func look(_ what: LookUp) throws {
        state.withLock { $0.lookUps.append(what) }
        if content.failing == what { throw Unreachable() }
    }

    func workflow(_ id: Int, of organization: String) async throws -> Workflow? {
        try look(.workflow)
        return content.workflow
    }

    func isMember(_ user: String, of organization: String) async throws -> Bool {
        try look(.member)
        return content.isMember
    }

    func owner(of workflow: Workflow) async throws -> String? {
        try look(.owner)
        return content.owner
    }

    func run(_ id: Int, for workflow: Workflow) async throws -> Run? {
        try look(.run)
        return content.run
    }

    func configuration(of workflow: Workflow, run: Run?) async throws -> ModelConfiguration {
        try look(.configuration)
        return content.configuration
    }

    func save(correlationID: String, of run: Run) async throws -> Bool {
        try look(.save)
        state.withLock { $0.saved.append(correlationID) }
        return !content.isGoneAtTheEnd
    }
}

extension ModelConfiguration {
    /// Dograh's models, billed by run; a service for each key.
    static func managed(_ keys: String...) -> ModelConfiguration { of("dograh", version: 2, keys) }

    /// Dograh's models, billed by their keys.
    static func unmanaged(_ keys: String...) -> ModelConfiguration { of("dograh", version: nil, keys) }

    /// Models of others, with keys that are nobody's business.
    static let foreign = of("openai", version: 2, ["sk-1"])

    /// A managed configuration that lacks its key.
    static let keyless = of("dograh", version: 2, [""])

    private static func of(_ provider: String, version: Int?, _ keys: [String]) -> ModelConfiguration {
        ModelConfiguration(
            managedServiceVersion: version,
            services: keys.map { Service(provider: provider, serviceKeys: [Secret(Leaks.secret("a service key", $0))]) }
        )
    }
}
