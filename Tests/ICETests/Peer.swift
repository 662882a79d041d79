import ICE
import STUN
import Wire

/// The other side of an agent, message by message: for what no well-behaved agent does.
struct Peer {
    var credentials = Credentials(ufrag: "peer", password: "0123456789abcdefghijkl")
    var source = address("198.51.100.7", 50000)
    var iceControlling: UInt64? = 99
    private var serial: UInt64 = 0

    mutating func request(
        to agent: Agent, useCandidate: Bool = false, password: String? = nil, ufrag: String? = nil,
        priority: UInt32 = 1_853_824_767
    ) -> [UInt8] {
        serial += 1
        var builder = STUNBuilder(.request, id: TransactionID(tag: 0xbbbb_bbbb, rest: serial))
        builder.add(username: (ufrag ?? agent.localCredentials.ufrag) + ":" + credentials.ufrag)
        builder.add(priority: priority)
        if let iceControlling { builder.add(iceControlling: iceControlling) } else { builder.add(iceControlled: 99) }
        if useCandidate { builder.addUseCandidate() }
        let key = Array((password ?? agent.localCredentials.password).utf8)
        return builder.finish(key: key)
    }

    func response(to request: [UInt8], errorCode: Int? = nil, password: String? = nil) -> [UInt8]? {
        guard let message = try? STUNMessage(parsing: request.span) else { return nil }
        var builder = STUNBuilder(errorCode == nil ? .success : .error, id: message.id)
        if let errorCode { builder.add(errorCode: errorCode, reason: "") }
        builder.add(xorMappedAddress: address("192.0.2.1", 40000))
        return builder.finish(key: Array((password ?? credentials.password).utf8))
    }
}

extension Agent {
    mutating func receive(_ datagram: [UInt8], from source: SocketAddress, at now: MonotonicTime) -> Reception {
        receive(datagram.span, path: 0, from: source, now: now)
    }

    /// Everything it wants to send, with where to.
    mutating func transmissions() -> [(bytes: [UInt8], to: SocketAddress)] {
        var all: [(bytes: [UInt8], to: SocketAddress)] = []
        while let output = poll() {
            if case .transmit(let bytes, _, let to) = output { all.append((bytes, to)) }
        }
        return all
    }

    /// Lets time pass until `end`, in the steps it asks for, and returns what it sent.
    mutating func sends(until end: MonotonicTime) -> [(bytes: [UInt8], to: SocketAddress)] {
        var all = transmissions()
        while let deadline, deadline <= end {
            handleTimeout(now: deadline)
            all += transmissions()
        }
        return all
    }
}

func classOf(_ datagram: [UInt8]) -> STUNMessage.Class? { STUNProbe(datagram.span)?.class }

func seconds(_ seconds: Double) -> MonotonicTime { .zero + .seconds(seconds) }
