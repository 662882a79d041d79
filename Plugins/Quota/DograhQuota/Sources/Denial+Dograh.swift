internal import PatchbayPlugin

/// The words that Dograh's clients know.
extension Denial {
    static let workflowNotFound = Denial(code: "workflow_not_found", message: "Workflow not found")
    static let userNotFound = Denial(code: "user_not_found", message: "User not found")
    static let runNotFound = Denial(code: "workflow_run_not_found", message: "Workflow run not found")
    static let quotaCheckFailed = Denial(
        code: "quota_check_failed", message: "Could not verify Dograh credits. Please try again.")
    static let invalidServiceKey = Denial(
        code: "invalid_service_key",
        message: "You have invalid keys in your model configuration. Please validate the service keys.")
    static let serviceKeyMismatch = Denial(
        code: "service_key_org_mismatch",
        message: "The service key of this workflow belongs to another organization. "
            + "Please create a new service token from the Developers tab and put it into the model configuration.")
    static let insufficientCredits = Denial(
        code: "insufficient_credits",
        message: "There are no Dograh credits left. Please buy more at /billing, or use models of another provider.")
    static let quotaExceeded = Denial(
        code: "quota_exceeded",
        message: "The trial credits are used up. "
            + "Please sign up at app.dograh.com for a new service key, and put it into the model configuration.")

    /// In the billing service's own words, where it has some that can be shown: no control characters, 500 characters at
    /// most, and none of the keys.
    static func insufficientCredits(saying message: String?, hiding keys: [Secret]) -> Denial {
        var denial = Denial(
            code: "insufficient_credits",
            message: "There are no Dograh credits left for this service key. Please buy more, or use another key.")
        guard let message, !message.isBlank else { return denial }
        guard !keys.contains(where: { key in key.withValue { message.contains($0) } }) else { return denial }
        let shown = message.unicodeScalars.prefix(500).filter { $0.properties.generalCategory != .control }
        denial.message = String(String.UnicodeScalarView(shown))
        return denial
    }
}
