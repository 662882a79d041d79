internal import OutboundHTTP
internal import PatchbayPlugin

extension JWTAuth.Settings {
    /// The keys that stand in the configuration.
    ///
    /// - Throws: a fault for a key that cannot be used, that can be guessed, or that goes with no algorithm.
    func makeKeys() throws(SettingsFault) -> [VerificationKey] {
        if secret == nil, keys.isEmpty, jwks == nil {
            throw SettingsFault("there is no key to check a token with: write `secret`, `keys` or `jwks`")
        }
        try checkAlgorithms()
        var made = try secret.map(makeKeys) ?? []
        for (index, key) in keys.enumerated() {
            let another = made.contains { other in
                other.algorithm == key.algorithm && other.id != nil && other.id == key.kid
            }
            if another {
                throw SettingsFault(
                    "two keys for \(key.algorithm.rawValue) have one `kid`", field: "keys", at: [.index(index), "kid"])
            }
            made.append(try makeKey(key, at: index))
        }
        return made
    }

    private func checkAlgorithms() throws(SettingsFault) {
        guard let algorithms else { return }
        let words = algorithms.map(\.rawValue).joined(separator: ", ")
        guard !algorithms.isEmpty else {
            throw SettingsFault("with no algorithm no token can be good: write [HS256]", field: "algorithms")
        }
        if secret != nil, !algorithms.contains(where: \.isSymmetric) {
            throw SettingsFault("`secret` is for HS256, HS384 and HS512, and here is \(words)", field: "algorithms")
        }
        if secret == nil, let orphan = algorithms.first(where: \.isSymmetric) {
            throw SettingsFault("\(orphan.rawValue) takes a `secret`, and there is none", field: "algorithms")
        }
        if keys.isEmpty, jwks == nil, let orphan = algorithms.first(where: { !$0.isSymmetric }) {
            throw SettingsFault(
                "\(orphan.rawValue) takes a public key: write `keys` or `jwks`", field: "algorithms")
        }
        if jwks != nil, algorithms.allSatisfy(\.isSymmetric) {
            throw SettingsFault("`jwks` has public keys, and here is \(words)", field: "algorithms")
        }
    }

    /// One for each algorithm.
    private func makeKeys(_ secret: Secret) throws(SettingsFault) -> [VerificationKey] {
        let algorithms = (algorithms ?? [.hs256]).filter(\.isSymmetric)
        let longest = algorithms.map(\.hashLength).max() ?? 32
        let name = algorithms.first { $0.hashLength == longest }?.rawValue ?? ""
        let bytes = secret.withValue { Array($0.utf8) }
        guard bytes.count >= longest else {
            throw SettingsFault(
                "the secret has \(bytes.count) bytes, and \(name) needs \(longest) (RFC 7518 §3.2): try `openssl rand -base64 \(longest)`",
                field: "secret")
        }
        if let weakness = secret.weakness {
            throw SettingsFault("\(weakness): try `openssl rand -base64 \(longest)`", field: "secret")
        }
        return algorithms.compactMap { VerificationKey(secret: bytes, algorithm: $0) }
    }

    private func makeKey(_ key: JWTAuth.PublicKeyFile, at index: Int) throws(SettingsFault) -> VerificationKey {
        func fault(_ text: String, at member: String) -> SettingsFault {
            SettingsFault(text, field: "keys", at: [.index(index), .key(member)])
        }
        let path = key.file.path
        if key.algorithm.isSymmetric {
            throw fault(
                "\(key.algorithm.rawValue) takes a secret, not a public key: write it to `secret`", at: "algorithm")
        }
        if let algorithms, !algorithms.contains(key.algorithm) {
            throw fault("a key is for \(key.algorithm.rawValue), which is not among `algorithms`", at: "algorithm")
        }
        if let kid = key.kid, !(1...Header.longestKeyID).contains(kid.utf8.count) {
            throw fault("a `kid` has 1 to \(Header.longestKeyID) bytes", at: "kid")
        }
        let bytes: [UInt8]
        do throws(RegularFileError) {
            bytes = try readRegularFile(path, limit: 16_384)
        } catch {
            throw fault("cannot read the key \(path): \(error)", at: "file")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        if text.contains("PRIVATE KEY") {
            throw fault(
                "\(path) has a private key, which belongs to nobody but the issuer: `openssl pkey -in KEY -pubout` writes the public one",
                at: "file")
        }
        if text.contains("BEGIN CERTIFICATE") {
            throw fault(
                "\(path) has a certificate: `openssl x509 -in CERTIFICATE -pubkey -noout` writes its public key",
                at: "file")
        }
        do {
            return try VerificationKey(pem: text, id: key.kid, algorithm: key.algorithm)
        } catch {
            throw fault(
                "\(path) has no public key for \(key.algorithm.rawValue), which takes \(key.algorithm.keyKind.noun) in PEM",
                at: "file")
        }
    }

    /// The key set, which is not fetched before the start.
    func makeRemoteKeys(_ context: PluginContext, _ access: KeySetAccess) throws(SettingsFault) -> RemoteKeys? {
        guard let jwks else { return nil }
        do throws(HTTPEndpointError) {
            return RemoteKeys(
                endpoint: try HTTPEndpoint(jwks), algorithms: algorithms, interval: jwksRefresh, access: access,
                logger: context.logger)
        } catch {
            throw SettingsFault(error.description, field: "jwks")
        }
    }
}

extension JWTAuth.Algorithm.KeyKind {
    /// What to put into a file.
    fileprivate var noun: String {
        switch self {
        case .secret: "a secret"
        case .rsa: "an RSA key of 2048 bits or more"
        case .p256: "a key on P-256"
        case .p384: "a key on P-384"
        case .p521: "a key on P-521"
        case .ed25519: "an Ed25519 key"
        }
    }
}
