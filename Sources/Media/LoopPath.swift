/// Which way a datagram goes, as ICE's `path`: from 0 the loop's own UDP sockets by their position, from `tcp` the TCP port at
/// the address of socket 0, 1, …, and from `relays` one for each relayed address that there has been.
enum LoopPath {
    static let tcp = 64
    static let relays = 128
}
