internal import COpenSSL
internal import Wire

/// The network as OpenSSL sees it: one read takes one datagram, and the writes until `takeOutgoing` share as few datagrams
/// as hold them. OpenSSL writes a flight in one go but repeats it message by message, five datagrams for one.
///
/// A memory BIO would join datagrams, and OpenSSL 3.0 has no datagram one.
@safe final class DatagramBIO {
    /// Datagrams OpenSSL wrote since they were last taken.
    private var outgoing: [[UInt8]] = []
    private var incoming: [UInt8] = []
    private var hasIncoming = false
    /// OpenSSL's own next retransmission, which it shows its BIO; nil when the version keeps it out of reach.
    private var nextTimeout: UnsafeMutablePointer<timeval>?
    /// Until the next retransmission, for versions whose own timer has to be used.
    var interval = Duration.zero

    /// The most bytes OpenSSL may put in a datagram: RFC 8831's and every browser's choice for any path.
    static let mtu = 1200

    /// Up to OpenSSL 3.1 a BIO is shown the timer itself; from 3.2 on, a copy on the stack.
    private static let showsTimer = OpenSSL_version_num() < 0x3020_0000

    func deliver(_ datagram: Span<UInt8>) {
        incoming.removeAll(keepingCapacity: true)
        for index in datagram.indices {
            incoming.append(datagram[index])
        }
        hasIncoming = !incoming.isEmpty  // a read of 0 bytes would mean the end of the stream
    }

    func takeOutgoing() -> [[UInt8]] {
        defer { outgoing = [] }
        return outgoing
    }

    /// Gives `connection` a BIO that ends here; the connection frees it, and must not outlive this object.
    func attach(to connection: OpaquePointer) -> Bool {
        guard let bio = unsafe BIO_new(Self.method) else { return false }
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        unsafe SSL_set_bio(connection, bio, bio)
        unsafe nextTimeout = nil
        // OpenSSL would read the wall clock: its timer is put out of the way, and `expireTimer` fires it.
        unsafe DTLS_set_timer_cb(connection) { connection, _ in
            guard !DatagramBIO.showsTimer, let bio = unsafe DatagramBIO.find(SSL_get_rbio(connection)) else {
                return 3_600_000_000
            }
            return UInt32(clamping: bio.interval.nanoseconds / 1000)
        }
        return true
    }

    /// Makes OpenSSL's timer one that has expired, so that it sends its last flight anew, under fresh record numbers.
    func expireTimer() {
        unsafe nextTimeout?.pointee = timeval(tv_sec: 1, tv_usec: 0)
    }

    private static func find(_ bio: OpaquePointer?) -> DatagramBIO? {
        guard let data = unsafe BIO_get_data(bio) else { return nil }
        return unsafe Unmanaged<DatagramBIO>.fromOpaque(data).takeUnretainedValue()
    }

    nonisolated(unsafe) private static let method: OpaquePointer? = {
        let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams in memory")
        unsafe BIO_meth_set_create(method) { bio in
            unsafe BIO_set_init(bio, 1)
            return 1
        }
        unsafe BIO_meth_set_write(method) { bio, bytes, count in
            guard let self = unsafe find(bio), let bytes = unsafe bytes, count > 0 else { return -1 }
            let records = unsafe UnsafeRawBufferPointer(start: bytes, count: Int(count))
            if let last = self.outgoing.indices.last, self.outgoing[last].count + records.count <= mtu {
                unsafe self.outgoing[last] += records
            } else {
                unsafe self.outgoing.append(Array(records))
            }
            return count
        }
        unsafe BIO_meth_set_read(method) { bio, bytes, count in
            unsafe BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            guard let self = unsafe find(bio), let bytes = unsafe bytes, self.hasIncoming else {
                unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
                return -1
            }
            self.hasIncoming = false
            let taken = min(self.incoming.count, Int(count))
            unsafe self.incoming.withUnsafeBytes { datagram in
                unsafe UnsafeMutableRawBufferPointer(start: bytes, count: taken)
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: datagram[..<taken]))
            }
            return Int32(taken)
        }
        unsafe BIO_meth_set_ctrl(method) { bio, command, _, argument in
            switch command {
            case BIO_CTRL_FLUSH:
                return 1
            case BIO_CTRL_DGRAM_QUERY_MTU:
                return mtu
            case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
                if showsTimer, let self = unsafe find(bio) {
                    unsafe self.nextTimeout = argument?.assumingMemoryBound(to: timeval.self)
                }
                return 1
            default:
                return 0
            }
        }
        return unsafe method
    }()
}
