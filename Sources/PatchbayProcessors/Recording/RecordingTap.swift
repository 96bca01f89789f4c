import NIOCore
import PatchbayAudio
import PatchbayCore
import Synchronization

/// The end of a recording that stands on the media path: copies what it hears into the ring and returns.
///
/// No lock, no allocation, no system call: a copy of the payload and two atomic counters.
final class RecordingTap: MediaTap {
    private let feed: RecordingFeed

    init(_ feed: RecordingFeed) { self.feed = feed }

    // A call that vanishes without a last word leaves a recording to complete all the same.
    deinit { feed.end(at: nil) }

    func callerAudio(_ payload: ByteBuffer, at position: TimeSpan) { feed.write(.caller, payload, at: position) }

    func agentAudio(_ payload: ByteBuffer, at position: TimeSpan) { feed.write(.agent, payload, at: position) }

    func agentCut(at position: TimeSpan) { feed.write(.cut, at: position) }

    func recording(_ command: RecordingCommand, at position: TimeSpan) {
        switch command {
        case .pause: feed.write(.pause, at: position)
        case .resume: feed.write(.resume, at: position)
        }
    }

    func ended(at position: TimeSpan) { feed.end(at: position) }
}

/// What the tap of a recording and its file share: the ring and some counters.
final class RecordingFeed: Sendable {
    let request: RecordingRequest
    let ring: RecordingRing
    /// Audio payloads that found no room in the ring, and their bytes.
    let droppedPayloads = Atomic(0)
    let droppedBytes = Atomic(0)
    /// `Int64.min` while the call runs, `Int64.max` when it ended nobody knows when, else the position of its end.
    private let endedAt = Atomic(Int64.min)
    /// Set when a command to pause found no room: then nothing more is taken until one to resume has been entered.
    private let isMuted = Atomic(false)

    init(_ request: RecordingRequest) {
        self.request = request
        ring = RecordingRing(capacity: request.ringBytes)
    }

    /// Where the call ended, as far as that is known; `nil` while it runs. Everything written before is in the ring when
    /// this is set.
    var end: RecordingEnd? {
        switch endedAt.load(ordering: .acquiring) {
        case Int64.min: nil
        case Int64.max: .unknown
        case let position: .at(TimeSpan(nanoseconds: position))
        }
    }

    func write(_ kind: RecordingRing.Kind, _ payload: ByteBuffer, at position: TimeSpan) {
        let isTaken = payload.withUnsafeReadableBytes { bytes in
            !isMuted.load(ordering: .relaxed) && ring.write(kind, at: position.nanoseconds, bytes)
        }
        guard !isTaken else { return }
        droppedPayloads.add(1, ordering: .relaxed)
        droppedBytes.add(payload.readableBytes, ordering: .relaxed)
    }

    func write(_ command: RecordingRing.Kind, at position: TimeSpan) {
        let isTaken = ring.write(command, at: position.nanoseconds, UnsafeRawBufferPointer(start: nil, count: 0))
        if command == .pause, !isTaken { isMuted.store(true, ordering: .relaxed) }
        if command == .resume, isTaken { isMuted.store(false, ordering: .relaxed) }
    }

    func end(at position: TimeSpan?) {
        let value = position.map { min(max($0.nanoseconds, 0), Int64.max - 1) } ?? Int64.max
        _ = endedAt.compareExchange(expected: Int64.min, desired: value, ordering: .releasing)
    }
}

/// How a recording came to its end.
enum RecordingEnd: Equatable {
    case at(TimeSpan)
    /// The call vanished; the recording ends with the last sound.
    case unknown
}
