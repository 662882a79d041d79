import DTLS
import ICE
import RTP
import SDP
package import Wire

/// Datagrams: which protocol each belongs to, and what ICE and DTLS make of theirs.
extension PeerConnection {
    /// Takes one datagram, which is decrypted in place.
    package func receive(
        _ datagram: inout MutableSpan<UInt8>, path: Int, from source: SocketAddress, now: MonotonicTime
    ) -> Reception {
        guard !hasEnded else { return .dropped }
        let kind = PacketKind(datagram.span)
        switch kind {
        case .stun:
            let reception = ice.receive(datagram.span, path: path, from: source, now: now)
            pumpICE(now: now)
            if case .authenticated(let displaced) = reception { return .authenticated(displacing: displaced) }
            statistics.dropped.stun &+= 1
            return .dropped
        case .dtls, .rtp, .rtcp:
            // Nothing else is looked at before ICE has proven the address (CVE-2023-49786 and its family).
            guard ice.isValidated(path: path, remote: source) else {
                statistics.dropped.unvalidated &+= 1
                return .dropped
            }
        case .channelData, .unknown:
            statistics.dropped.malformed &+= 1
            return .dropped
        }
        if kind == .dtls {
            return receiveDTLS(datagram.span, now: now)
        }
        guard let media else {
            statistics.dropped.early &+= 1
            return .dropped
        }
        let accepted = media.receive(&datagram, isRTCP: kind == .rtcp, now: now, statistics: &statistics)
        if accepted, kind == .rtp { ice.heardMedia(path: path, from: source, now: now) }
        if let key = media.takeKeyPress() {
            statistics.keyPresses &+= 1
            emit(.keyPress(key))
        }
        return accepted ? .handled : .dropped
    }

    private func receiveDTLS(_ datagram: Span<UInt8>, now: MonotonicTime) -> Reception {
        guard dtlsLimiter.admit(now: now) else {
            statistics.dropped.tooMany &+= 1
            return .dropped
        }
        startDTLS(now: now)
        guard let dtls else { return .dropped }
        dtls.receive(datagram, now: now)
        pumpDTLS(now: now)
        return .handled
    }

    // MARK: - ICE

    func pumpICE(now: MonotonicTime) {
        while let output = ice.poll() {
            switch output {
            case .transmit(let bytes, let path, let destination):
                batch.append(bytes.span, to: destination, path: path)
            case .state(let state):
                iceChanged(to: state, now: now)
            case .selected:
                startDTLS(now: now)
            }
        }
    }

    private func iceChanged(to state: Agent.State, now: MonotonicTime) {
        switch state {
        case .new, .checking, .closed: break
        case .connected:
            guard isLost else { return }
            isLost = false
            emit(.reconnected)
        case .disconnected:
            guard isConnected else { return }
            isLost = true
            emit(.disconnected)
        case .failed:
            end(isConnected ? .consentExpired : .iceFailed, now: now)
        }
    }

    // MARK: - DTLS

    /// Opens the association once there is a path and the signaling has said who begins.
    private func startDTLS(now: MonotonicTime) {
        guard dtls == nil, let dtlsRole, ice.selected != nil else { return }
        do throws(DTLSError) {
            dtlsEnd = dtlsEnd ?? now + Connection.handshakeLimit
            let connection = try Connection(
                certificate: configuration.certificate, role: dtlsRole, until: dtlsEnd, now: now)
            dtls = connection
            connection.start(now: now)
        } catch {
            return end(.dtlsFailed("\(error)"), now: now)
        }
        pumpDTLS(now: now)
    }

    func pumpDTLS(now: MonotonicTime) {
        guard let dtls else { return }
        var datagrams: [[UInt8]] = []
        while let output = dtls.poll() {
            switch output {
            case .transmit(let bytes):
                datagrams.append(bytes)
            case .connected(let material):
                for bytes in datagrams { send(bytes) }
                datagrams = []
                startMedia(material, now: now)
            case .closed:
                for bytes in datagrams { send(bytes) }
                return end(.closedByPeer, now: now)
            case .failed(let error):
                // Its alert stays here: the peer would believe it.
                if mayBeginAnew(after: error) { return beginAnew(now: now) }
                for bytes in datagrams { send(bytes) }
                return end(.dtlsFailed("\(error)"), now: now)
            }
        }
        for bytes in datagrams { send(bytes) }
    }

    /// Until its end a handshake is in the clear, and whoever forges the peer's address can spoil it.
    private func mayBeginAnew(after error: DTLSError) -> Bool {
        guard case .library(.handshake, _, _) = error, media == nil else { return false }
        return dtlsAttempts < Self.dtlsAttempts
    }

    private func beginAnew(now: MonotonicTime) {
        dtlsAttempts += 1
        dtls = nil
        startDTLS(now: now)
    }

    /// Sends what the association still has to say, and reads nothing else of it.
    func sendDTLS(_ dtls: Connection) {
        while let output = dtls.poll() {
            if case .transmit(let bytes) = output { send(bytes) }
        }
    }

    private func send(_ bytes: [UInt8]) {
        guard let selected = ice.selected else { return }
        batch.append(bytes.span, to: selected.remote, path: selected.path)
    }

    private func startMedia(_ material: KeyingMaterial, now: MonotonicTime) {
        guard let remote, let dtlsRole, let dtls else { return }
        guard isVouchedFor(dtls, by: remote.fingerprints) else {
            return end(.fingerprintMismatch, now: now)
        }
        do {
            media = try MediaSession(
                material, role: dtlsRole, remote: remote.audio, configuration: configuration, ssrc: ssrc, cname: cname,
                randomness: randomness, now: now)
            media?.limitComplexity(to: complexityLimit)
        } catch {
            return end(.mediaFailed("\(error)"), now: now)
        }
        didConnect()
    }

    /// Of several fingerprints, one of the strongest hash has to match (RFC 8122 §5.1).
    func isVouchedFor(_ dtls: Connection, by fingerprints: [Fingerprint]) -> Bool {
        guard let strongest = fingerprints.map(\.algorithm.length).max() else { return false }
        return fingerprints.contains { fingerprint in
            let algorithm: FingerprintAlgorithm =
                switch fingerprint.algorithm {
                case .sha256: .sha256
                case .sha384: .sha384
                case .sha512: .sha512
                }
            return fingerprint.algorithm.length == strongest && dtls.peerFingerprint(algorithm) == fingerprint.bytes
        }
    }
}
