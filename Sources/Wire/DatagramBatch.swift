/// Datagrams that wait to be sent, in memory that is allocated once: filled by the machines, emptied by one `sendmmsg`.
///
/// When it is full a datagram is dropped and counted, as a network does.
package final class DatagramBatch {
    /// Room for one datagram, in bytes: 1500 less nothing, so any Ethernet payload fits.
    package static let slotSize = 1500
    /// Room before each datagram for what frames it on a relay's channel or a stream, and after it for padding.
    package static let headroom = 4
    private static let stride = headroom + slotSize + 4

    package struct Entry: Sendable {
        /// Where the bytes start in `storage`.
        package var offset: Int
        package var count: Int
        package var destination: SocketAddress
        /// Index of the local socket to send from.
        package var path: Int
    }

    package private(set) var storage: [UInt8]
    package private(set) var entries: [Entry] = []
    /// Datagrams that did not fit since the batch was made.
    package private(set) var dropped = 0
    private let capacity: Int

    /// - Parameter capacity: how many datagrams it holds.
    package init(capacity: Int) {
        self.capacity = capacity
        storage = [UInt8](repeating: 0, count: capacity * Self.stride)
        entries.reserveCapacity(capacity)
    }

    /// Copies a datagram in, to be sent from local socket `path`.
    package func append(_ datagram: Span<UInt8>, to destination: SocketAddress, path: Int) {
        guard entries.count < capacity, datagram.count <= Self.slotSize else {
            dropped &+= 1
            return
        }
        let offset = entries.count * Self.stride + Self.headroom
        let count = datagram.count
        unsafe storage.withUnsafeMutableBytes { slab in
            unsafe datagram.withUnsafeBytes { bytes in
                unsafe UnsafeMutableRawBufferPointer(rebasing: slab[offset..<offset + count]).copyMemory(from: bytes)
            }
        }
        entries.append(Entry(offset: offset, count: count, destination: destination, path: path))
    }

    /// Lets `body` frame a datagram where it lies: it begins after `headroom` bytes.
    package func frame<Result>(_ entry: Entry, _ body: (inout MutableSpan<UInt8>) -> Result) -> Result {
        let start = entry.offset - Self.headroom
        return unsafe storage.withUnsafeMutableBufferPointer { slab in
            var slot = unsafe UnsafeMutableBufferPointer(rebasing: slab[start..<start + Self.stride]).mutableSpan
            return body(&slot)
        }
    }

    package func removeAll() {
        entries.removeAll(keepingCapacity: true)
    }

    /// A copy of a datagram, for where it has to be told in another way than from its slot.
    package func bytes(of entry: Entry) -> [UInt8] {
        Array(storage[entry.offset..<entry.offset + entry.count])
    }
}
