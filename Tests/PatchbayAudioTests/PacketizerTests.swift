import PatchbayAudio
import Testing

@Suite struct PacketizerTests {
    private func append(_ bytes: [UInt8], to packetizer: inout Packetizer) {
        bytes.withUnsafeBytes { packetizer.append($0) }
    }

    private func takePacket(from packetizer: inout Packetizer) -> [UInt8]? {
        var packet = [UInt8](repeating: 0xEE, count: packetizer.packetBytes)
        return packet.withUnsafeMutableBytes({ packetizer.takePacket(into: $0) }) ? packet : nil
    }

    @Test func takesPacketsInOrderHoweverTheBytesArrive() {
        for seed in UInt64(1)...20 {
            var generator = SeededGenerator(seed: seed)
            let size = Int.random(in: 1...400, using: &generator)
            var packetizer = Packetizer(packetBytes: size)
            var sent: [UInt8] = []
            var taken: [UInt8] = []
            for _ in 0..<200 {
                let count = Int.random(in: 0...1000, using: &generator)
                let piece = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
                append(piece, to: &packetizer)
                sent += piece
                for _ in 0..<Int.random(in: 0...8, using: &generator) {
                    guard let packet = takePacket(from: &packetizer) else { break }
                    #expect(packet.count == size)
                    taken += packet
                }
                #expect(packetizer.pendingBytes == sent.count - taken.count, "seed \(seed)")
                #expect(packetizer.pendingPackets == packetizer.pendingBytes / size)
            }
            while let packet = takePacket(from: &packetizer) { taken += packet }
            #expect(packetizer.pendingBytes < size)
            #expect(taken == Array(sent.prefix(taken.count)), "seed \(seed)")
        }
    }

    @Test func flushPadsOnlyAnIncompletePacket() {
        var packetizer = Packetizer(packetBytes: 4)
        #expect(packetizer.flush(padding: 0xFF) == 0)
        append([1, 2, 3, 4], to: &packetizer)
        #expect(packetizer.flush(padding: 0xFF) == 0)
        append([5], to: &packetizer)
        #expect(packetizer.flush(padding: 0xFF) == 3)
        #expect(packetizer.pendingPackets == 2)
        #expect(takePacket(from: &packetizer) == [1, 2, 3, 4])
        #expect(takePacket(from: &packetizer) == [5, 0xFF, 0xFF, 0xFF])
        #expect(takePacket(from: &packetizer) == nil)
        #expect(packetizer.pendingBytes == 0)
    }

    @Test func resetDropsWhatIsPending() {
        var packetizer = Packetizer(packetBytes: 2)
        append([1, 2, 3], to: &packetizer)
        packetizer.reset()
        #expect(packetizer.pendingBytes == 0)
        append([7, 8], to: &packetizer)
        #expect(takePacket(from: &packetizer) == [7, 8])
    }

    @Test func aSmallDestinationTakesNothing() {
        var packetizer = Packetizer(packetBytes: 4)
        append([1, 2, 3, 4], to: &packetizer)
        var small = [UInt8](repeating: 0, count: 3)
        #expect(small.withUnsafeMutableBytes { packetizer.takePacket(into: $0) } == false)
        #expect(small == [0, 0, 0])
        #expect(takePacket(from: &packetizer) == [1, 2, 3, 4])
    }

    @Test func aLargeDestinationKeepsItsRest() {
        var packetizer = Packetizer(packetBytes: 2)
        append([1, 2], to: &packetizer)
        var large = [UInt8](repeating: 9, count: 4)
        #expect(large.withUnsafeMutableBytes { packetizer.takePacket(into: $0) })
        #expect(large == [1, 2, 9, 9])
    }
}
