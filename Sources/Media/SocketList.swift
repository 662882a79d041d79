import Wire

/// The sockets of one loop. Sockets are not copyable and so cannot stand in an array; a loop has few.
final class SocketList {
    private final class Node {
        let socket: UDPSocket

        init(bindingTo address: SocketAddress) throws(MediaError) {
            socket = try UDPSocket(bindingTo: address)
        }
    }

    private let nodes: [Node]

    init(binding addresses: [SocketAddress]) throws(MediaError) {
        var nodes: [Node] = []
        for address in addresses {
            nodes.append(try Node(bindingTo: address))
        }
        self.nodes = nodes
    }

    var addresses: [SocketAddress] {
        nodes.map { $0.socket.address }
    }

    var descriptors: [Int32] {
        nodes.map { $0.socket.descriptor }
    }
}
