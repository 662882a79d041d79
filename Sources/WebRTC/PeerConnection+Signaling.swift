import DTLS
import ICE
import SDP
package import Wire

/// The offer/answer exchange (RFC 9429, audio only).
extension PeerConnection {
    /// Takes an offer, the first or a later one, and writes the answer. A later offer with new ICE credentials restarts ICE.
    package func answer(offer text: String, now: MonotonicTime) throws(PeerConnectionError) -> String {
        guard !hasEnded else { throw .ended }
        guard configuration.role == .answering else { throw .unexpectedDescription }
        let offer: Offer
        do throws(SDPError) {
            offer = try Offer(parsing: text)
        } catch {
            throw .sdp(error)
        }
        // Another certificate asks for another association (RFC 8842 §5.5), which is another call.
        guard media == nil || dtls.map({ isVouchedFor($0, by: offer.remote.fingerprints) }) ?? true else {
            throw .otherAssociation
        }
        if let remote, remote.iceUfrag != offer.remote.iceUfrag || remote.icePassword != offer.remote.icePassword {
            restartICE(now: now)
        }
        // The association stays in a re-offer, and with it the roles (RFC 8842 §5.5).
        let preferred: Setup = dtlsRole.map { $0 == .client ? .active : .passive } ?? .actpass
        let setup = offer.setup(preferring: preferred)
        dtlsRole = dtlsRole ?? (setup == .active ? .client : .server)
        sessionVersion += 1
        let answer = offer.answer(localParameters(setup: setup))
        adopt(offer.remote, now: now)
        return answer
    }

    /// The offering side's first description.
    package func makeOffer() throws(PeerConnectionError) -> String {
        guard !hasEnded else { throw .ended }
        guard configuration.role == .offering else { throw .unexpectedDescription }
        sessionVersion += 1
        return LocalOffer.make(localParameters(setup: .actpass))
    }

    /// Takes the answer to `makeOffer`.
    package func accept(answer text: String, now: MonotonicTime) throws(PeerConnectionError) {
        guard !hasEnded else { throw .ended }
        guard configuration.role == .offering, sessionVersion > 0 else { throw .unexpectedDescription }
        let remote: RemoteParameters
        do throws(SDPError) {
            remote = try LocalOffer.accept(answer: text)
        } catch {
            throw .sdp(error)
        }
        dtlsRole = dtlsRole ?? (remote.setup == .active ? .server : .client)
        adopt(remote, now: now)
    }

    private func localParameters(setup: Setup) -> LocalParameters {
        let credentials = ice.localCredentials
        // The offering side trickles, so that both ways of telling candidates are in use.
        let answering = configuration.role == .answering
        return LocalParameters(
            sessionID: sessionID, sessionVersion: sessionVersion, iceUfrag: credentials.ufrag,
            icePassword: credentials.password,
            fingerprint: Fingerprint(algorithm: .sha256, bytes: configuration.certificate.sha256Fingerprint),
            setup: setup, iceLite: answering && configuration.isLite,
            candidates: answering ? localCandidates.map { String($0.trimmingPrefix("candidate:")) } : [],
            ssrc: ssrc, cname: cname, direction: configuration.direction)
    }

    private func adopt(_ remote: RemoteParameters, now: MonotonicTime) {
        self.remote = remote
        media?.update(remote.audio)
        ice.setRemoteCredentials(
            Credentials(ufrag: remote.iceUfrag, password: remote.icePassword), isLite: remote.iceLite, now: now)
        for text in remote.candidates {
            addRemoteCandidate(text, now: now)
        }
        if remote.endOfCandidates {
            ice.endOfRemoteCandidates(now: now)
        }
        pumpICE(now: now)
    }
}
