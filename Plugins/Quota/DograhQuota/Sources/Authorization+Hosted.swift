internal import PatchbayPlugin

extension Authorization {
    /// A deployment of Dograh's: the organisation's account pays.
    func authorizeHosted(_ known: KnownRun) async throws(Denial) -> String? {
        let billedRun = known.billedRun
        let key = billedRun == nil ? nil : known.configuration.serviceKeys.first
        if billedRun != nil, key == nil { throw .invalidServiceKey }
        let verdict: BillingVerdict
        do throws(BillingFailure) {
            verdict = try await billing.authorizeAccount(known, serviceKey: key)
        } catch {
            if error.isTransport, billedRun == nil {
                note(error, "the billing service cannot be reached; the call goes on unchecked")
                return nil
            }
            note(error, "the billing service did not say whether a run may start")
            throw error.isOrganizationMismatch ? .serviceKeyMismatch : .quotaCheckFailed
        }
        guard verdict.isEnough else { throw .insufficientCredits }
        if let billedRun { return try await requireCorrelation(verdict.correlationID, of: billedRun) }
        guard let run = known.run, let id = verdict.correlationID, !id.isBlank else { return nil }
        return try await save(id, of: run)
    }
}
