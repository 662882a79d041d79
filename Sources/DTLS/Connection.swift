internal import COpenSSL
package import Wire

/// One DTLS 1.2 association that keys SRTP (RFC 5764), as a function of datagrams and time.
///
/// Feed it only what came from an address that ICE has validated; take outputs with `poll` after every call. The caller
/// compares `peerFingerprint` with the one signalled before it sends or believes any media.
@safe package final class Connection {
    package enum Role: Sendable {
        case client, server
    }

    package enum Output: Equatable, Sendable {
        /// Send this datagram, at most 1200 bytes.
        case transmit([UInt8])
        /// The handshake is complete; comes once.
        case connected(KeyingMaterial)
        /// The peer said close_notify; nothing follows.
        case closed
        /// Nothing follows.
        case failed(DTLSError)
    }

    private enum Phase {
        case handshaking, connected, ended
    }

    /// First retransmission after this long, doubled each time up to the maximum (RFC 6347 §4.2.4.1).
    ///
    /// Not twice the round trip time: a flight is one small datagram, so repeating it early costs little on a slow path, and
    /// on a lossy one it saves seconds.
    package static let initialInterval = Duration.milliseconds(50)
    package static let maximumInterval = Duration.seconds(2)
    /// A handshake may take this long from `init`.
    package static let handshakeLimit = Duration.seconds(15)

    private let role: Role
    private let bio = DatagramBIO()
    private let connection: OpaquePointer
    private var phase = Phase.handshaking
    private var filter: RecordFilter
    private var outputs: [Output] = []
    private var interval = Connection.initialInterval
    private var retransmitTime: MonotonicTime?
    private let handshakeEnd: MonotonicTime

    /// - Parameter until: when a handshake has to be through that was begun before; else `handshakeLimit` from now.
    package init(
        certificate: Certificate, role: Role, until end: MonotonicTime? = nil, now: MonotonicTime
    ) throws(DTLSError) {
        self.role = role
        filter = RecordFilter(sender: role == .client ? .server : .client)
        handshakeEnd = end ?? now + Self.handshakeLimit
        unsafe connection = try unsafe Self.make(certificate, role, bio)
    }

    deinit {
        unsafe SSL_free(connection)
    }

    /// Sends the first flight; only a client has one.
    package func start(now: MonotonicTime) {
        guard role == .client, phase == .handshaking, retransmitTime == nil else { return }
        advanceHandshake(now)
    }

    /// Takes a datagram whose first byte is 20 … 63 (RFC 7983 §7). What it cannot use it drops.
    package func receive(_ datagram: Span<UInt8>, now: MonotonicTime) {
        switch phase {
        case .handshaking:
            let records = filter.pass(datagram)
            guard !records.isEmpty else { return }
            bio.deliver(records.span)
            advanceHandshake(now)
        case .connected:
            let records = RecordFilter.passEstablished(datagram)
            guard !records.isEmpty else { return }
            bio.deliver(records.span)
            read()
        case .ended:
            break
        }
    }

    /// When `handleTimeout` is due; nil outside a handshake.
    package var deadline: MonotonicTime? {
        guard phase == .handshaking else { return nil }
        return retransmitTime.map { min($0, handshakeEnd) } ?? handshakeEnd
    }

    /// Sends the last flight again, or gives up.
    package func handleTimeout(now: MonotonicTime) {
        guard phase == .handshaking else { return }
        if now >= handshakeEnd {
            end(.failed(.timedOut(seconds: Self.handshakeLimit.components.seconds, alert: filter.alert)))
        } else if let time = retransmitTime, now >= time {
            interval = min(interval * 2, Self.maximumInterval)
            retransmitTime = now + interval
            bio.interval = interval
            bio.expireTimer()
            ERR_clear_error()
            if unsafe shim_DTLSv1_handle_timeout(connection) < 0 {
                fail(.handshake)
            } else {
                flush()
            }
        }
    }

    package func poll() -> Output? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    /// The hash of the peer's certificate, nil before it has one. Final once `connected` has come.
    package func peerFingerprint(_ algorithm: FingerprintAlgorithm) -> [UInt8]? {
        guard let peer = unsafe SSL_get1_peer_certificate(connection) else { return nil }
        defer { unsafe X509_free(peer) }
        return unsafe algorithm.digest(of: peer)
    }

    /// Says close_notify where there is somebody to say it to. Nothing but that datagram follows.
    package func close() {
        if phase == .connected {
            ERR_clear_error()
            unsafe SSL_shutdown(connection)
            flush()
        }
        phase = .ended
    }
}

// MARK: - OpenSSL

extension Connection {
    private static func make(
        _ certificate: Certificate, _ role: Role, _ bio: DatagramBIO
    ) throws(DTLSError) -> OpaquePointer {
        ERR_clear_error()
        guard let connection = unsafe SSL_new(certificate.context) else { throw .draining(.configuring) }
        guard unsafe bio.attach(to: connection), unsafe shim_SSL_set_mtu(connection, DatagramBIO.mtu) == 1 else {
            unsafe SSL_free(connection)
            throw .draining(.configuring)
        }
        switch role {
        case .client: unsafe SSL_set_connect_state(connection)
        case .server: unsafe SSL_set_accept_state(connection)
        }
        return unsafe connection
    }

    private func advanceHandshake(_ now: MonotonicTime) {
        ERR_clear_error()
        bio.interval = Self.initialInterval
        let result = unsafe SSL_do_handshake(connection)
        if result == 1 {
            retransmitTime = nil
            flush()
            connect()
        } else if unsafe SSL_get_error(connection, result) != SSL_ERROR_WANT_READ {
            fail(.handshake)
        } else if flush() {
            interval = Self.initialInterval
            retransmitTime = now + interval
        }
    }

    private func connect() {
        guard
            let profile = unsafe SSL_get_selected_srtp_profile(connection).map({
                unsafe UInt16(truncatingIfNeeded: $0.pointee.id)
            }),
            let salt = KeyingMaterial.saltLength(of: profile)
        else { return end(.failed(.noProtectionProfile)) }
        var block = [UInt8](repeating: 0, count: 2 * (KeyingMaterial.keyLength + salt))
        let label = KeyingMaterial.label
        let exported = unsafe SSL_export_keying_material(
            connection, &block, block.count, label, label.utf8.count, nil, 0, 0)
        guard exported == 1, let keys = KeyingMaterial(profile: profile, exported: block) else {
            return fail(.exporting)
        }
        phase = .connected
        outputs.append(.connected(keys))
        read()  // what came in the same datagram as the peer's Finished
    }

    /// Works through the records at hand: alerts, a repeated Finished, which OpenSSL answers. Application data has no
    /// meaning here and is dropped.
    private func read() {
        ERR_clear_error()
        let result = unsafe withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 8) { buffer in
            while true {
                let count = unsafe SSL_read(connection, buffer.baseAddress, Int32(buffer.count))
                if count <= 0 { return unsafe SSL_get_error(connection, count) }
            }
        }
        switch result {
        case SSL_ERROR_WANT_READ:
            flush()
        case SSL_ERROR_ZERO_RETURN:
            unsafe SSL_shutdown(connection)  // the answer RFC 5246 §7.2.1 asks for
            flush()
            end(.closed)
        default:
            fail(.reading)
        }
    }

    /// Hands on what OpenSSL wrote; true when that was anything.
    @discardableResult
    private func flush() -> Bool {
        let datagrams = bio.takeOutgoing()
        for datagram in datagrams {
            outputs.append(.transmit(datagram))
        }
        return !datagrams.isEmpty
    }

    private func fail(_ operation: DTLSError.Operation) {
        let error = DTLSError.draining(operation)
        flush()  // the alert
        end(.failed(error))
    }

    private func end(_ output: Output) {
        phase = .ended
        outputs.append(output)
    }
}
