import STUN
import Testing
import Wire

@Suite("STUN messages, RFC 8489")
struct STUNMessageTests {
    static let id = TransactionID(tag: 0x0102_0304, rest: 0x0506_0708_090a_0b0c)
    static let key = Array("0123456789abcdefghijkl".utf8)

    @Test(
        "what is built is read back, in every class",
        arguments: [
            STUNMessage.Class.request, .indication, .success, .error,
        ])
    func roundTrip(class: STUNMessage.Class) throws {
        let address = try #require(SocketAddress("2001:db8::7", port: 4242))
        var builder = STUNBuilder(`class`, id: Self.id)
        builder.add(username: "left:right")
        builder.add(priority: 0xfedc_ba98)
        builder.addUseCandidate()
        builder.add(iceControlling: .max)
        builder.add(iceControlled: 1)
        builder.add(errorCode: 487, reason: "Role Conflict")
        builder.add(unknownAttributes: [0x7001, 0x7002, 0x7003])
        builder.add(xorMappedAddress: address)
        builder.add(software: "patchbay")
        let datagram = builder.finish(key: Self.key)
        let message = try parse(datagram)
        #expect(message.class == `class`)
        #expect(message.method == STUNMessage.binding)
        #expect(message.id == Self.id)
        #expect(message.username == "left:right")
        #expect(message.priority == 0xfedc_ba98)
        #expect(message.useCandidate)
        #expect(message.iceControlling == .max)
        #expect(message.iceControlled == 1)
        #expect(message.errorCode == 487)
        #expect(message.reason == "Role Conflict")
        #expect(message.unknownAttributes == [0x7001, 0x7002, 0x7003])
        #expect(message.xorMappedAddress == address)
        #expect(message.software == "patchbay")
        #expect(message.unknownRequired.isEmpty)
        #expect(message.hasIntegrity(key: Self.key))
    }

    @Test("what TURN needs is read back (RFC 8656 §18), and is unknown to Binding", arguments: [1, 3] as [UInt16])
    func turn(method: UInt16) throws {
        let (left, right) = (SocketAddress(ipv4: 0xc000_0201, port: 7), SocketAddress(ipv6: 1 << 60, 2, port: 65_535))
        var builder = STUNBuilder(.success, method: method, id: Self.id)
        builder.add(realm: "example.org")
        builder.add(nonce: [0, 255, 7])
        builder.add(lifetime: 3600)
        builder.add(channelNumber: 0x4fff)
        builder.add(xorPeerAddress: left)
        builder.add(xorRelayedAddress: right)
        builder.add(alternateServer: right)
        builder.add(requestedTransport: 17)
        builder.add(requestedAddressFamily: .ipv6)
        builder.add(data: [9, 8, 7])
        let datagram = builder.finish(key: Self.key)
        let message = try parse(datagram)
        #expect(message.hasIntegrity(key: Self.key))
        #expect(message.realm == "example.org")
        #expect(message.nonce == [0, 255, 7])
        #expect(message.alternateServer == right)
        guard method != STUNMessage.binding else {
            #expect(message.unknownRequired == [0x0d, 0x0c, 0x12, 0x16, 0x19, 0x17, 0x13])
            #expect(message.lifetime == nil && message.data == nil && message.xorPeerAddress == nil)
            return
        }
        #expect(message.unknownRequired.isEmpty)
        #expect(message.lifetime == 3600)
        #expect(message.channelNumber == 0x4fff)
        #expect(message.xorPeerAddress == left)
        #expect(message.xorRelayedAddress == right)
        #expect(message.requestedTransport == 17)
        #expect(message.requestedAddressFamily == .ipv6)
        #expect(message.data.map { Array(datagram[$0]) } == [9, 8, 7])
    }

    @Test("methods of 12 bits survive the interleaved class bits", arguments: [1, 3, 4, 0x80, 0xfff] as [UInt16])
    func methods(method: UInt16) throws {
        let message = try parse(STUNBuilder(.error, method: method, id: Self.id).finish(key: nil))
        #expect(message.method == method)
        #expect(message.class == .error)
    }

    @Test("a message without MESSAGE-INTEGRITY has none, whatever the key")
    func noIntegrity() throws {
        let message = try parse(STUNBuilder(.request, id: Self.id).finish(key: nil))
        #expect(!message.hasIntegrity(key: Self.key))
        #expect(!message.hasIntegrity(key: []))
    }

    @Test("attributes after MESSAGE-INTEGRITY are ignored (§14.5)")
    func attributesAfterIntegrity() throws {
        var datagram = STUNBuilder(.request, id: Self.id).finish(key: Self.key)
        datagram.removeLast(8)
        datagram += [0x00, 0x25, 0, 0] + [0x00, 0x24, 0, 4, 1, 2, 3, 4] + [0x77, 0x77, 0, 0]
        datagram.set(uint16: UInt16(datagram.count - 20), at: 2)
        let message = try parse(datagram)
        #expect(!message.useCandidate)
        #expect(message.priority == nil)
        #expect(message.unknownRequired.isEmpty)
        #expect(message.hasIntegrity(key: Self.key))
    }

    @Test("a comprehension-required attribute nobody knows is reported, an optional one is not (§14)")
    func unknownAttributes() throws {
        var datagram = STUNBuilder(.request, id: Self.id).finish(key: nil)
        datagram.removeLast(8)
        datagram += [0x00, 0x30, 0, 1, 9, 0, 0, 0] + [0x80, 0x30, 0, 0]
        datagram.set(uint16: UInt16(datagram.count - 20), at: 2)
        #expect(try parse(datagram).unknownRequired == [0x0030])
    }

    @Test("malformed messages are refused with the reason")
    func malformed() {
        let good = Vector.request
        expect(.size(19), Array(good[..<19]))
        expect(.size(2052), good + [UInt8](repeating: 0, count: 2052 - good.count))
        expect(.notSTUN, changing(good, 0, to: 0x40))
        expect(.notSTUN, changing(good, 4, to: 0))
        expect(.length(stated: 88, available: 84), Array(good[..<104]))
        expect(.length(stated: 0x5a, available: 88), changing(good, 3, to: 0x5a))
        expect(.attributeLength(type: 0x8028, stated: 5, available: 4), changing(good, 103, to: 5))
        expect(.attributeLength(type: 0x8022, stated: 0xff10, available: 84), changing(good, 22, to: 0xff))
        expect(.fingerprint, changing(good, 107, to: 0))
        var many = Array(good[..<20])
        for _ in 0..<33 { many += [0x80, 0x99, 0, 0] }
        many.set(uint16: UInt16(33 * 4), at: 2)
        expect(.tooManyAttributes, many)
        var notLast = good + [0x80, 0x99, 0, 0]
        notLast.set(uint16: UInt16(notLast.count - 20), at: 2)
        expect(.fingerprint, notLast)
    }

    private func expect(_ error: STUNError, _ datagram: [UInt8], _ location: SourceLocation = #_sourceLocation) {
        #expect(throws: error, sourceLocation: location) { try parse(datagram) }
    }

    private func changing(_ datagram: [UInt8], _ index: Int, to value: UInt8) -> [UInt8] {
        var changed = datagram
        changed[index] = value
        return changed
    }
}

@Suite("Demultiplexing STUN on a shared port")
struct STUNProbeTests {
    @Test("a request shows the receiver's ufrag and the transaction tag")
    func request() throws {
        let found = try #require(probe(Vector.request))
        #expect(found.class == .request)
        #expect(found.localUfrag == UfragKey("evtj"))
        #expect(found.transactionTag == 0xb7e7_a701)
    }

    @Test("a response shows the tag of the agent that asked")
    func response() throws {
        let found = try #require(probe(Vector.responseIPv4))
        #expect(found.class == .success)
        #expect(found.localUfrag == nil)
        #expect(found.transactionTag == 0xb7e7_a701)
    }

    @Test(
        "ufrags of 1 … 8 bytes are keys, others are nobody's",
        arguments: [
            ("a", true), ("abcd", true), ("abcdefgh", true), ("abcdefghi", false), ("", false),
        ])
    func ufrags(ufrag: String, isKey: Bool) throws {
        var builder = STUNBuilder(.request, id: STUNMessageTests.id)
        builder.add(username: ufrag + ":peer")
        let found = try #require(probe(builder.finish(key: nil)))
        #expect((found.localUfrag != nil) == isKey)
        #expect(found.localUfrag == UfragKey(ufrag))
    }

    @Test("a USERNAME without a colon, or cut short, names nobody")
    func noColon() throws {
        var builder = STUNBuilder(.request, id: STUNMessageTests.id)
        builder.add(username: "evtj")
        let found = try #require(probe(builder.finish(key: nil)))
        #expect(found.localUfrag == nil)
        var cut = STUNBuilder(.request, id: STUNMessageTests.id).finish(key: nil)
        cut.removeLast(8)
        cut += [0x00, 0x06, 0x00, 0x40]
        cut.set(uint16: 4, at: 2)
        let short = try #require(probe(cut))
        #expect(short.localUfrag == nil)
    }

    @Test("datagrams that are not Binding messages are left alone")
    func others() {
        #expect(probe([UInt8]()) == nil)
        #expect(probe([UInt8](repeating: 0x80, count: 172)) == nil)
        #expect(probe(STUNBuilder(.request, method: 3, id: STUNMessageTests.id).finish(key: nil)) == nil)
    }
}
