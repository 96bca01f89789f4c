import Foundation
import Testing

@testable import PatchbayProcessors

@Suite struct RecordingRingTests {
    private func drain(_ ring: RecordingRing) -> [(kind: RecordingRing.Kind, position: Int64, payload: [UInt8])] {
        var records: [(kind: RecordingRing.Kind, position: Int64, payload: [UInt8])] = []
        ring.drain { records.append(($0, $1, Array($2))) }
        return records
    }

    private func write(_ ring: RecordingRing, _ kind: RecordingRing.Kind, _ position: Int64, _ payload: [UInt8]) -> Bool
    {
        payload.withUnsafeBytes { ring.write(kind, at: position, $0) }
    }

    @Test func recordsComeOutWholeInOrderAcrossTheEndOfTheStorage() {
        let ring = RecordingRing(capacity: 0)
        var generator = SplitMix(seed: 9)
        var number: Int64 = 0
        for _ in 0..<500 {
            var expected: [(Int64, [UInt8])] = []
            for _ in 0..<generator.next() % 5 {
                let payload = (0..<generator.next() % 300).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                #expect(write(ring, .caller, number, payload))
                expected.append((number, payload))
                number += 1
            }
            let records = drain(ring)
            #expect(records.map(\.position) == expected.map(\.0))
            #expect(records.map(\.payload) == expected.map(\.1), "seed 9")
        }
    }

    @Test func audioIsRefusedWhenItIsFullAndCommandsStillFindRoom() {
        let ring = RecordingRing(capacity: 10_000)
        var taken = 0
        while write(ring, .agent, Int64(taken), [UInt8](repeating: 1, count: 160)) { taken += 1 }
        #expect(taken == (10_000 - RecordingRing.reservedBytes) / 176)
        #expect(!write(ring, .caller, 0, [UInt8](repeating: 1, count: 160)))
        #expect(write(ring, .pause, 77, []))
        let records = drain(ring)
        #expect(records.count == taken + 1)
        #expect(records.last?.kind == .pause)
        #expect(records.last?.position == 77)
        #expect(write(ring, .agent, 0, [UInt8](repeating: 1, count: 160)))
        #expect(!write(ring, .caller, 0, [UInt8](repeating: 1, count: 20_000)))
    }

    @Test func twoThreadsSeeTheSameBytes() {
        let ring = RecordingRing(capacity: 16_384)
        let count: Int64 = 5000
        let producer = Thread {
            var generator = SplitMix(seed: 3)
            var number: Int64 = 0
            while number < count {
                let size = Int(generator.next() % 400)
                let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
                while !payload.withUnsafeBytes({ ring.write(.caller, at: number, $0) }) { sched_yield() }
                number += 1
            }
        }
        producer.start()
        var generator = SplitMix(seed: 3)
        var next: Int64 = 0
        var wrong = 0
        while next < count {
            ring.drain { _, position, payload in
                let size = Int(generator.next() % 400)
                let isRight =
                    position == next && payload.count == size
                    && payload.allSatisfy { $0 == UInt8(truncatingIfNeeded: next) }
                if !isRight { wrong += 1 }
                next += 1
            }
            sched_yield()
        }
        #expect(wrong == 0)
    }
}
