extension JWTAuth {
    /// An issuer that is not there keeps no gateway from starting, and no token of its is good.
    public func verify() async throws {
        try await remoteKeys?.verify()
    }
}

extension RemoteKeys {
    /// - Throws: why its keys are not to be had.
    fileprivate func verify() throws(KeySetUnavailable) {
        if !hasKeys { throw unavailable }
    }
}
