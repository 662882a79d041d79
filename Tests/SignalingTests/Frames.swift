import NIOCore

/// A frame as a raw client sends it.
func frame(
    _ opcode: UInt8, _ payload: [UInt8] = [], final: Bool = true, masked: Bool = true, reserved: UInt8 = 0
) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.writeInteger((final ? 0x80 : 0) | reserved | opcode)
    let mask: UInt8 = masked ? 0x80 : 0
    switch payload.count {
    case ..<126: buffer.writeInteger(mask | UInt8(payload.count))
    case ..<65536:
        buffer.writeInteger(mask | 126)
        buffer.writeInteger(UInt16(payload.count))
    default:
        buffer.writeInteger(mask | 127)
        buffer.writeInteger(UInt64(payload.count))
    }
    let key: [UInt8] = [1, 2, 3, 4]
    if masked { buffer.writeBytes(key) }
    buffer.writeBytes(payload.enumerated().map { masked ? $1 ^ key[$0 % 4] : $1 })
    return buffer
}

func text(_ text: String, final: Bool = true) -> ByteBuffer {
    frame(1, Array(text.utf8), final: final)
}

/// What a raw client got: the head of the response and the frames after it.
struct Reply {
    var head: String
    var frames: [(opcode: UInt8, payload: [UInt8])] = []

    init(_ buffer: ByteBuffer) {
        var bytes = buffer
        let end = Array("\r\n\r\n".utf8)
        let view = Array(bytes.readableBytesView)
        guard let split = view.firstRange(of: end) else {
            head = String(buffer: buffer)
            return
        }
        head = String(decoding: view[..<split.upperBound], as: UTF8.self)
        bytes.moveReaderIndex(forwardBy: split.upperBound)
        while let first: UInt8 = bytes.readInteger(), let second: UInt8 = bytes.readInteger() {
            var length = Int(second)
            if second == 126 { length = Int(bytes.readInteger(as: UInt16.self) ?? 0) }
            if second == 127 { length = Int(bytes.readInteger(as: UInt64.self) ?? 0) }
            guard let payload = bytes.readBytes(length: length) else { break }
            frames.append((first & 0x0F, payload))
        }
    }

    /// Of the last frame, when that is a close frame; 0 for one without a code.
    var closeCode: UInt16? {
        guard let last = frames.last, last.opcode == 8 else { return nil }
        return last.payload.prefix(2).reduce(0) { $0 << 8 | UInt16($1) }
    }

    var texts: [String] {
        frames.filter { $0.opcode == 1 }.map { String(decoding: $0.payload, as: UTF8.self) }
    }
}

extension ByteBuffer {
    func dropping(_ count: Int) -> ByteBuffer {
        ByteBuffer(bytes: readableBytesView.dropFirst(count))
    }
}

/// The handshake of a client that then writes its own frames.
func handshake(_ path: String = "/", _ fields: String = "") -> String {
    """
    GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\(fields)\r\n
    """
}
