internal import PatchbayPlugin

extension Authorization {
    /// A deployment of one's own: service keys pay, and who brings keys of other providers pays those.
    func authorizeSelfHosted(_ known: KnownRun) async throws(Denial) -> String? {
        let keys = known.configuration.serviceKeys
        guard let run = known.billedRun else {
            try await checkBalances(keys)
            return nil
        }
        guard let key = keys.first else { throw .invalidServiceKey }
        try await checkBalances(keys.dropFirst())
        let verdict: BillingVerdict
        do throws(BillingFailure) {
            verdict = try await billing.authorizeKey(key, run: run)
        } catch .status(404, _), .status(405, _) {
            // A billing service from before there was that question.
            try await checkBalances([key])
            return try await requireCorrelation(correlationID(key, run), of: run)
        } catch {
            note(error, "the billing service did not say whether a run may start")
            throw .quotaCheckFailed
        }
        guard verdict.isEnough else {
            throw verdict.error == "insufficient_credits"
                ? .insufficientCredits(saying: verdict.message, hiding: keys) : .quotaExceeded
        }
        return try await requireCorrelation(verdict.correlationID, of: run)
    }

    /// Looks at what is left for each key. When the billing service cannot be reached, the keys count as good.
    private func checkBalances(_ keys: some Sequence<Secret>) async throws(Denial) {
        for key in keys {
            let balance: Double
            do throws(BillingFailure) {
                balance = try await billing.balance(of: key)
            } catch {
                if error.isTransport {
                    note(error, "the billing service cannot be reached; the call goes on unchecked")
                    return
                }
                note(error, "the billing service did not say what is left for a service key")
                throw error.saysNotFound ? .invalidServiceKey : .quotaCheckFailed
            }
            guard balance >= BillingService.minimum else { throw .quotaExceeded }
        }
    }

    private func correlationID(_ key: Secret, _ run: Run) async throws(Denial) -> String? {
        do throws(BillingFailure) {
            return try await billing.correlationID(key, run: run)
        } catch {
            note(error, "the billing service gave the run no correlation id")
            throw .quotaCheckFailed
        }
    }
}
