internal import CSRTP
internal import Wire

/// When a stream's first packets were lost and its sequence number has wrapped meanwhile, the receiver supposes a
/// rollover counter of 0 where the sender is at 1, and every packet fails for good (RFC 3711 §3.3.1 leaves this open).
///
/// The cure: from the third failure in a row of a new source, its packet is tried again with 1. Each trial derives
/// keys, so a session has only a few.
struct RolloverRecovery {
    private static let failuresBefore = 3
    private var ssrc: UInt32 = 0
    private var failures = 0
    private var trialsLeft = SRTPSession.maximumStreams
    /// What a failed decryption in place has destroyed.
    var copy: [UInt8] = []

    /// Whether this packet, should it fail, is to be tried again. Only one that may lie after a wrap is.
    func wants(_ ssrc: UInt32, _ sequenceNumber: UInt16) -> Bool {
        self.ssrc == ssrc && failures >= Self.failuresBefore - 1 && trialsLeft > 0 && sequenceNumber < 0x8000
    }

    mutating func failed(_ ssrc: UInt32) {
        failures = self.ssrc == ssrc ? min(failures + 1, Self.failuresBefore) : 1
        self.ssrc = ssrc
    }

    mutating func tried() {
        trialsLeft -= 1
    }
}

extension SRTPSession {
    /// `unprotect` for a source of which no RTP has been accepted yet.
    mutating func unprotectFirst(
        _ packet: inout MutableSpan<UInt8>, _ count: Int, _ ssrc: UInt32, _ sequenceNumber: UInt16
    ) throws(SRTPError) -> Int {
        let retries = recovery.wants(ssrc, sequenceNumber)
        if retries {
            recovery.copy.removeAll(keepingCapacity: true)
            for index in 0..<count { recovery.copy.append(packet[index]) }
        }
        do throws(SRTPError) {
            return try unsafe call(&packet, count, srtp_unprotect)
        } catch {
            guard error == .authentication else { throw error }
            recovery.failed(ssrc)
            guard retries else { throw error }
            recovery.tried()
            for index in 0..<count { packet[index] = recovery.copy[index] }
            return try unprotectAfterWrap(&packet, count, ssrc)
        }
    }

    private func unprotectAfterWrap(
        _ packet: inout MutableSpan<UInt8>, _ count: Int, _ ssrc: UInt32
    ) throws(SRTPError) -> Int {
        // RTCP may have made the stream already.
        let isNew = unsafe srtp_set_stream_roc(context, ssrc, 1) != srtp_err_status_ok
        if isNew {
            try addStream(ssrc)
            unsafe srtp_set_stream_roc(context, ssrc, 1)
        }
        do throws(SRTPError) {
            return try unsafe call(&packet, count, srtp_unprotect)
        } catch {
            if isNew {
                forget(ssrc)
            } else {
                unsafe srtp_set_stream_roc(context, ssrc, 0)
            }
            throw error
        }
    }
}
