import TestSupport
import Testing

@testable import HTTPAuth

@Suite("Room that tenants share")
struct SharedRoomTests {
    /// Takes all that there is for a tenant, and says how much that was.
    private func fill(_ room: inout SharedRoom, _ tenant: Int, of tenants: Int) -> Int {
        var count = 0
        while room.hasRoom(for: "\(tenant)", of: tenants) {
            room.take("\(tenant)")
            count += 1
        }
        return count
    }

    @Test(
        "one takes half of it and its own part at most, and each of the others finds its own; none of it is left over",
        arguments: [
            (200, 1, 200, 200), (1, 1, 1, 1), (2, 2, 1, 1), (3, 2, 2, 1), (4, 2, 3, 1), (8, 2, 6, 2), (25, 2, 19, 6),
            (200, 2, 150, 50), (200, 3, 134, 33), (200, 50, 102, 2), (200, 150, 51, 1), (200, 200, 1, 1),
            // Too few for all: first come, first served.
            (1, 2, 1, 0), (3, 4, 3, 0),
        ])
    func parts(capacity: Int, tenants: Int, most: Int, own: Int) {
        var room = SharedRoom(capacity)
        var taken = [fill(&room, 0, of: tenants)]
        #expect(taken == [most])
        for tenant in 1..<tenants { taken.append(fill(&room, tenant, of: tenants)) }
        #expect(taken.allSatisfy { $0 >= own }, "\(taken)")
        #expect(taken.reduce(0, +) == capacity)
        for (tenant, count) in taken.enumerated() {
            for _ in 0..<count { room.giveBack("\(tenant)") }
        }
        #expect(room.isEmpty)
    }

    @Test("whoever comes and goes, one that has less than its part gets a place, and there are never too many")
    func comingAndGoing() {
        for seed in UInt64(0)..<50 { comeAndGo(Seeded(seed)) }
    }

    private func comeAndGo(_ random: Seeded) {
        var random = random
        let capacity = Int.random(in: 1...40, using: &random)
        let tenants = Int.random(in: 1...capacity, using: &random)
        let own = max(1, capacity / 2 / tenants)
        var room = SharedRoom(capacity)
        var taken = Array(repeating: 0, count: tenants)
        for _ in 0..<400 {
            let tenant = Int.random(in: 0..<tenants, using: &random)
            if random.chance(0.6) {
                let hasRoom = room.hasRoom(for: "\(tenant)", of: tenants)
                if taken[tenant] < own { #expect(hasRoom, "\(tenant) of \(taken), \(capacity) in all") }
                guard hasRoom else { continue }
                room.take("\(tenant)")
                taken[tenant] += 1
                #expect(taken.reduce(0, +) <= capacity)
            } else if taken[tenant] > 0 {
                room.giveBack("\(tenant)")
                taken[tenant] -= 1
            }
        }
    }

    @Test("where a tenant is added while one has all of it, what that one gives back is the other's")
    func added() {
        var room = SharedRoom(8)
        let all = fill(&room, 0, of: 1)
        #expect(all == 8)
        #expect(!room.hasRoom(for: "1", of: 2))
        for _ in 0..<2 {
            room.giveBack("0")
            #expect(!room.hasRoom(for: "0", of: 2))
            let place = fill(&room, 1, of: 2)
            #expect(place == 1)
        }
    }
}
