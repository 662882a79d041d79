import Audio
import DTLS
import ICE
import RTP
import SDP
import SRTP
import Wire

/// What flows once the keys are in: RTP and RTCP both ways, and the sound in them.
final class MediaSession {
    /// RTP from the peer per call: more than any voice needs, less than a flood (packets, and bytes, a second).
    private static let packetsPerSecond = 250
    private static let bytesPerSecond = 256_000 / 8
    /// RTCP of one audio stream is a packet in some seconds; a browser's feedback, several a second.
    private static let reportsPerSecond = 20
    /// How long what is due at the receiving side may wait for what is due at the sending one.
    private static let alignment = Duration.milliseconds(10)
    /// Longer than packets overtake one another.
    private static let leftoverTime = Duration.milliseconds(500)
    private static let headerLength = RTPHeader.minimumLength

    private let ssrc: UInt32
    private let cname: String
    private let ntpOrigin: UInt64
    private let randomness: RandomSource
    private let decodes: Bool
    private var remote: RemoteAudio

    private var inbound: SRTPSession
    private var outbound: SRTPSession
    private let receiver: AudioReceiver
    private let sender: AudioSender
    private var packetLimiter: RateLimiter
    private var byteLimiter: RateLimiter
    private var reportLimiter: RateLimiter
    private var schedule: ReportSchedule

    /// The SSRC that is played.
    private var stream: UInt32?
    /// The one that was played before, and until when.
    private var replaced: (ssrc: UInt32, at: MonotonicTime)?
    private var receiverStatistics = ReceiverStatistics(clockRate: 48_000)
    private var senderStatistics = SenderStatistics()
    private var referenceTimes = ReferenceTimeExchange()
    private var keyFilter = TelephoneEventFilter()
    private var pressedKey: Character?
    private var lastArrival: MonotonicTime?
    /// What the last packet said of its loudness, as RFC 6464 has it.
    private var level: UInt8?
    /// One packet on its way out, with room for the SRTP tag, and what is written before it is copied there.
    private var packet = [UInt8](repeating: 0, count: DatagramBatch.slotSize)
    private var scratch: [UInt8] = []

    init(
        _ material: KeyingMaterial, role: Connection.Role, remote: RemoteAudio,
        configuration: PeerConnection.Configuration, ssrc: UInt32, cname: String, randomness: RandomSource,
        now: MonotonicTime
    ) throws {
        self.ssrc = ssrc
        self.cname = cname
        self.remote = remote
        self.randomness = randomness
        ntpOrigin = configuration.ntpOrigin
        decodes = configuration.decodes
        let isClient = role == .client
        guard let profile = SRTPProfile(rawValue: material.profile) else {
            throw PeerConnectionError.library("the SRTP protection profile \(material.profile) was not offered")
        }
        outbound = try SRTPSession(
            profile: profile, keyAndSalt: isClient ? material.client : material.server, direction: .outbound)
        inbound = try SRTPSession(
            profile: profile, keyAndSalt: isClient ? material.server : material.client, direction: .inbound)
        receiver = try AudioReceiver(rate: configuration.inputRate, queue: configuration.input, now: now)
        var random = randomness
        sender = try AudioSender(
            rate: configuration.outputRate, queue: configuration.output, settings: configuration.encoder,
            randomness: &random, now: now)
        packetLimiter = RateLimiter(perSecond: Self.packetsPerSecond, now: now)
        byteLimiter = RateLimiter(perSecond: Self.bytesPerSecond, now: now)
        reportLimiter = RateLimiter(perSecond: Self.reportsPerSecond, now: now)
        schedule = ReportSchedule(at: now, random: randomness)
        scratch.reserveCapacity(DatagramBatch.slotSize)
        sender.adapt(to: remote.opus.parameters)
    }

    /// The peer described its audio anew.
    func update(_ remote: RemoteAudio) {
        self.remote = remote
        sender.adapt(to: remote.opus.parameters)
    }

    func limitComplexity(to limit: Int) {
        sender.limitComplexity(to: limit)
    }

    // MARK: - In

    /// - Returns: false when the packet was counted and thrown away.
    func receive(
        _ packet: inout MutableSpan<UInt8>, isRTCP: Bool, now: MonotonicTime, statistics: inout CallStatistics
    ) -> Bool {
        guard packetLimiter.admit(now: now), byteLimiter.admit(packet.count, now: now),
            !isRTCP || reportLimiter.admit(now: now)
        else {
            statistics.dropped.tooMany &+= 1
            return false
        }
        return isRTCP
            ? receiveRTCP(&packet, now: now, statistics: &statistics)
            : receiveRTP(&packet, now: now, statistics: &statistics)
    }

    private func receiveRTP(
        _ packet: inout MutableSpan<UInt8>, now: MonotonicTime, statistics: inout CallStatistics
    ) -> Bool {
        // These bytes are not encrypted: what was not agreed costs no decryption.
        guard let second = packet.span.byte(at: 1), let source = packet.span.uint32(at: 8) else {
            statistics.dropped.malformed &+= 1
            return false
        }
        let kind = kind(of: second & 0x7f)
        guard let kind else {
            statistics.dropped.unknownStream &+= 1
            return false
        }
        let length: Int
        do throws(SRTPError) {
            length = try inbound.unprotect(&packet, count: packet.count)
        } catch {
            if error == .replayed {
                statistics.packetsDuplicate &+= 1
            } else {
                statistics.dropped.count(error)
            }
            return false
        }
        let plain = packet.span.extracting(first: length)
        let header: RTPHeader
        do throws(RTPError) {
            header = try RTPHeader(parsing: plain)
        } catch {
            statistics.dropped.malformed &+= 1
            return false
        }
        let payload = plain.extracting(header.payload)
        let isVoice = kind != .key
        if isVoice, stream != source, !isLeftover(source, now: now) {
            adopt(source, now: now)
        }
        // Key presses may have a stream of their own.
        if stream == source {
            guard
                receiverStatistics.receive(
                    sequenceNumber: header.sequenceNumber, timestamp: isVoice ? header.timestamp : nil, at: now)
            else {
                statistics.dropped.malformed &+= 1
                return false
            }
            if decodes { play(payload, kind, header, plain, now: now, statistics: &statistics) }
        }
        statistics.packetsReceived &+= 1
        if let lastArrival {
            statistics.gaps.record(now - lastArrival)
        } else {
            statistics.firstPacketReceived = now
        }
        lastArrival = now
        if !isVoice { noteKeyPress(payload, source: source, timestamp: header.timestamp) }
        return true
    }

    /// What a payload type was agreed to mean.
    private enum PayloadKind {
        case opus, redundant, key
    }

    private func kind(of payloadType: UInt8) -> PayloadKind? {
        if payloadType == remote.opus.payloadType { return .opus }
        if payloadType == remote.red { return .redundant }
        for event in remote.telephoneEvents where event.payloadType == payloadType { return .key }
        return nil
    }

    private func play(
        _ payload: Span<UInt8>, _ kind: PayloadKind, _ header: RTPHeader, _ packet: Span<UInt8>, now: MonotonicTime,
        statistics: inout CallStatistics
    ) {
        if let id = remote.audioLevelExtensionID, let range = header.extensionData(id: id, in: packet) {
            level = packet.byte(at: range.lowerBound)
        } else {
            level = nil
        }
        switch kind {
        case .opus where !payload.isEmpty:
            receiver.receive(
                sequenceNumber: header.sequenceNumber, timestamp: header.timestamp, payload: payload, level: level,
                now: now)
        case .redundant where !payload.isEmpty:
            guard let redundant = RedundantPayload(parsing: payload) else {
                statistics.dropped.malformed &+= 1
                receiver.skip(sequenceNumber: header.sequenceNumber, now: now)
                return
            }
            play(redundant, in: payload, header, now: now)
        case .opus, .redundant, .key:
            receiver.skip(sequenceNumber: header.sequenceNumber, now: now)
        }
    }

    /// The copies are of the packets right before this one, the oldest first (RFC 2198 §4).
    private func play(
        _ redundant: RedundantPayload, in payload: Span<UInt8>, _ header: RTPHeader, now: MonotonicTime
    ) {
        for index in 0..<redundant.count {
            guard let block = redundant.block(index), block.payloadType == remote.opus.payloadType else { continue }
            receiver.receiveCopy(
                sequenceNumber: header.sequenceNumber &- UInt16(truncatingIfNeeded: redundant.count - index),
                timestamp: header.timestamp &- block.timestampOffset, payload: payload.extracting(block.range), now: now
            )
        }
        guard redundant.primaryPayloadType == remote.opus.payloadType, !redundant.primary.isEmpty else {
            receiver.skip(sequenceNumber: header.sequenceNumber, now: now)
            return
        }
        receiver.receive(
            sequenceNumber: header.sequenceNumber, timestamp: header.timestamp,
            payload: payload.extracting(redundant.primary), level: level, now: now)
    }

    private func noteKeyPress(_ payload: Span<UInt8>, source: UInt32, timestamp: UInt32) {
        guard let event = TelephoneEvent(parsing: payload), let key = event.key,
            keyFilter.isNew(event, ssrc: source, timestamp: timestamp)
        else { return }
        pressedKey = key
    }

    /// A new stream takes over: the peer changed its SSRC.
    private func adopt(_ source: UInt32, now: MonotonicTime) {
        replaced = stream.map { ($0, now) }
        stream = source
        receiverStatistics = ReceiverStatistics(clockRate: 48_000, lostBefore: receiverStatistics.totalLost)
        receiver.restart()
    }

    /// Whether a packet is of the stream before, on its way when that ended: it does not take over again.
    private func isLeftover(_ source: UInt32, now: MonotonicTime) -> Bool {
        guard let replaced, replaced.ssrc == source else { return false }
        return now - replaced.at < Self.leftoverTime
    }

    private func receiveRTCP(
        _ packet: inout MutableSpan<UInt8>, now: MonotonicTime, statistics: inout CallStatistics
    ) -> Bool {
        let length: Int
        do throws(SRTPError) {
            length = try inbound.unprotectRTCP(&packet, count: packet.count)
        } catch {
            statistics.dropped.count(error)
            return false
        }
        let packets: [RTCPPacket]
        do throws(RTPError) {
            packets = try RTCPPacket.parse(compound: packet.span.extracting(first: length))
        } catch {
            statistics.dropped.malformed &+= 1
            return false
        }
        for packet in packets {
            switch packet {
            case .senderReport(let report, let blocks):
                if report.ssrc == stream { receiverStatistics.receive(report, at: now) }
                take(blocks, now: now)
            case .receiverReport(_, let blocks):
                take(blocks, now: now)
            case .receiverReferenceTime(let source, let time):
                referenceTimes.receive(referenceTime: time, from: source, at: now)
            case .delaySinceLastReceiverReport(let delays):
                for delay in delays where delay.ssrc == ssrc {
                    referenceTimes.receive(delay, ntpTimestamp: ntp(now))
                }
            case .cname, .bye:
                break  // Whether the call is over is DTLS's and ICE's to say.
            }
        }
        return true
    }

    private func take(_ blocks: [ReportBlock], now: MonotonicTime) {
        for block in blocks where block.ssrc == ssrc {
            senderStatistics.receive(block, ntpTimestamp: ntp(now))
            sender.peerLoses(fraction: block.fractionLost)
        }
    }

    /// The key that the last packet reported, if any.
    func takeKeyPress() -> Character? {
        defer { pressedKey = nil }
        return pressedKey
    }

    // MARK: - Out

    /// On a grid of 1 ms, so that what several calls have to do at about one time costs one wake-up.
    var deadline: MonotonicTime {
        var earliest = schedule.deadline
        var received = decodes ? receiver.deadline : earliest
        if let due = sender.deadline {
            earliest = min(earliest, due)
            // Silence has time until the next frame is sent.
            if !receiver.isHolding, due > received, due < received + Self.alignment { received = due }
        }
        return min(earliest, received).roundedUp(to: .milliseconds(1))
    }

    /// When the next frame is to be sent; nil while there is nothing to say.
    var sendTick: MonotonicTime? { sender.tick }

    /// Sends what is due, to where ICE says; while consent is away nothing leaves, and time goes on.
    func handleTimeout(
        now: MonotonicTime, to selected: Tuple?, batch: DatagramBatch,
        statistics: inout CallStatistics
    ) {
        if decodes, receiver.deadline <= now {
            receiver.handleTimeout(now: now)
        }
        while let frame = sender.nextFrame(now: now, into: &packet, at: Self.headerLength) {
            guard let selected, remote.direction.receives else { continue }
            RTPHeader.write(
                marker: frame.startsTalking, payloadType: remote.opus.payloadType,
                sequenceNumber: sender.takeSequenceNumber(), timestamp: frame.timestamp, ssrc: ssrc, into: &scratch)
            guard send(&packet, isRTCP: false, length: Self.headerLength + frame.payloadLength, to: selected, batch)
            else { continue }
            statistics.packetsSent &+= 1
            senderStatistics.sent(payload: frame.payloadLength)
        }
        if schedule.deadline <= now {
            schedule.reported(at: now, random: randomness)
            sendReport(isLeaving: false, now: now, to: selected, batch: batch)
        }
    }

    func sayGoodbye(now: MonotonicTime, to selected: Tuple?, batch: DatagramBatch) {
        sendReport(isLeaving: true, now: now, to: selected, batch: batch)
    }

    private func sendReport(
        isLeaving: Bool, now: MonotonicTime, to selected: Tuple?, batch: DatagramBatch
    ) {
        guard let selected else { return }
        let report =
            senderStatistics.packetCount == 0
            ? nil
            : senderStatistics.makeReport(
                ssrc: ssrc, ntpTimestamp: ntp(now), rtpTimestamp: sender.timestamp(at: now))
        let block = stream.flatMap { receiverStatistics.makeReportBlock(ssrc: $0, at: now) }
        RTCPWriter.write(
            ssrc: ssrc, report: report, blocks: block.map { [$0] } ?? [], cname: cname,
            // A sender report measures the round trip by itself.
            referenceTime: report == nil ? ntp(now) : nil, delay: referenceTimes.makeDelay(at: now),
            isLeaving: isLeaving, into: &scratch)
        _ = send(&packet, isRTCP: true, length: scratch.count, to: selected, batch)
    }

    /// Puts `scratch` at the front of `packet`, protects the first `length` bytes of it, and hands it on.
    private func send(
        _ packet: inout [UInt8], isRTCP: Bool, length: Int, to selected: Tuple, _ batch: DatagramBatch
    ) -> Bool {
        for index in 0..<min(scratch.count, packet.count) {
            packet[index] = scratch[index]
        }
        do throws(SRTPError) {
            var span = packet.mutableSpan
            let protected =
                isRTCP
                ? try outbound.protectRTCP(&span, count: length) : try outbound.protect(&span, count: length)
            batch.append(packet.span.extracting(first: protected), to: selected.remote, path: selected.path)
            return true
        } catch {
            return false
        }
    }

    private func ntp(_ now: MonotonicTime) -> UInt64 {
        let (seconds, rest) = now.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        let fraction = (UInt64(truncatingIfNeeded: rest) << 32) / 1_000_000_000
        return ntpOrigin &+ (UInt64(truncatingIfNeeded: seconds) << 32) &+ fraction
    }

    // MARK: - Statistics

    func add(to statistics: inout CallStatistics) {
        statistics.packetsLost = Int(receiverStatistics.totalLost)
        statistics.jitter = Self.duration(ticks: receiverStatistics.jitter)
        statistics.reorderHold = receiver.reorderHold
        statistics.packetsLate = receiver.packetsLate
        statistics.framesReceived = receiver.framesFromPeer
        statistics.framesRecovered = receiver.framesRecovered
        statistics.framesConcealed = receiver.framesConcealed
        statistics.audioLevel = level.map { Int($0 & 0x7f) }
        statistics.dropped.malformed &+= receiver.packetsMalformed
        statistics.dropped.tooMany &+= receiver.packetsSurplus
        statistics.remotePacketsLost = Int(max(0, senderStatistics.cumulativeLost))
        if let fraction = senderStatistics.fractionLost {
            statistics.remoteLoss = Double(fraction) / 256
            statistics.remoteJitter = Self.duration(ticks: senderStatistics.jitter)
        }
        statistics.roundTripTime = senderStatistics.roundTrip ?? referenceTimes.roundTrip
        statistics.bitrate = sender.bitrate
        statistics.complexity = sender.complexity
        statistics.sendsFEC = sender.sendsFEC
    }

    private static func duration(ticks: UInt32) -> Duration {
        .nanoseconds(Int64(ticks) * 1_000_000_000 / 48_000)
    }
}
