internal import CSocket
import Glibc
package import Wire

/// A bound UDP socket that receives and sends many datagrams a system call.
///
/// A datagram that the kernel refuses to send is dropped alone. That matters on a port that calls share: the sockets of
/// swift-nio close on most send errors, so one hostile candidate would end every call.
final class UDPSocket {
    let descriptor: Int32
    /// Where it is bound, the port filled in.
    let address: SocketAddress

    /// - Throws: `MediaError.bind` when the address is not there, or the port is taken.
    init(bindingTo address: SocketAddress) throws(MediaError) {
        var native = csocket_address(address)
        let descriptor = unsafe csocket_open(&native)
        guard descriptor >= 0 else { throw .bind(address, errno: -descriptor) }
        self.descriptor = descriptor
        var bound = address
        bound.port = csocket_port(descriptor)
        self.address = bound
    }

    deinit {
        close(descriptor)
    }

    /// Sends one datagram, unless the kernel will not.
    func send(_ datagram: Span<UInt8>, to destination: SocketAddress) {
        var entry = csocket_datagram(
            offset: 0, length: UInt32(clamping: datagram.count), address: csocket_address(destination))
        unsafe datagram.withUnsafeBufferPointer { bytes in
            _ = unsafe csocket_send(descriptor, bytes.baseAddress, &entry, 1)
        }
    }
}

extension csocket_address {
    init(_ address: SocketAddress) {
        self.init(
            high: address.high, low: address.low, port: address.port, family: address.family == .ipv6 ? 6 : 4)
    }

    var socketAddress: SocketAddress {
        family == 6
            ? SocketAddress(ipv6: high, low, port: port)
            : SocketAddress(ipv4: UInt32(truncatingIfNeeded: low), port: port)
    }
}

/// What can go wrong before media flows.
package enum MediaError: Error, Equatable, CustomStringConvertible {
    case bind(SocketAddress, errno: Int32)
    case listen(SocketAddress, errno: Int32)
    case connect(SocketAddress, errno: Int32)
    case thread(errno: Int32)
    /// There is no socket of the server's IP version to ask from.
    case noLocalAddress(SocketAddress)
    /// One loop cannot wait on so many sockets.
    case tooManyAddresses(Int, limit: Int)
    /// The loop was asked to do something after it was told to stop.
    case stopped

    package var description: String {
        switch self {
        case .bind(let address, let code):
            "cannot bind UDP \(address): \(unsafe String(cString: strerror(code)))"
        case .listen(let address, let code):
            "cannot listen on TCP \(address): \(unsafe String(cString: strerror(code)))"
        case .connect(let address, let code):
            "cannot connect to \(address): \(unsafe String(cString: strerror(code)))"
        case .thread(let code):
            "cannot start a media thread: \(unsafe String(cString: strerror(code)))"
        case .noLocalAddress(let server):
            "no address of this machine from which to reach \(server)"
        case .tooManyAddresses(let count, let limit):
            "\(count) media addresses; a media loop serves at most \(limit)"
        case .stopped:
            "the media loop has stopped"
        }
    }
}
