import DequeModule
import NIOCore

/// Agent audio that waits for its time, in the agent's own encoding, with the control points that keep their place in it.
///
/// Agents generate faster than real time; what they are ahead waits here, where an interruption can still take it back.
struct AgentAudioQueue {
    /// What happens when playback reaches a point.
    enum Point {
        /// The vendor's word: the turn is complete.
        case turnEnded
        /// Nothing came for a while. The utterance ends; the turn may go on.
        case pause
        /// From here on the agent's audio may be cut, or not.
        case interruptible(Bool)
        case hangup(EndReason)

        func isOfKind(_ other: Point) -> Bool {
            switch (self, other) {
            case (.turnEnded, .turnEnded), (.pause, .pause), (.interruptible, .interruptible), (.hangup, .hangup): true
            default: false
            }
        }
    }

    /// Storage beyond this is given back, so that one long answer does not occupy memory for the rest of the call.
    static let retainedCapacity = 64 * 1024
    /// Points between the audio; an hour of turns has fewer.
    static let pointLimit = 4096
    /// Largest backlog in bytes; audio beyond it is dropped and counted.
    let limit: Int
    private(set) var droppedBytes = 0
    private var bytes = ByteBuffer()
    /// Points by the number of bytes that must have been taken before them.
    private var points: Deque<(position: Int, point: Point)> = []
    private var taken = 0

    init(limit: Int) { self.limit = limit }

    var byteCount: Int { bytes.readableBytes }
    var isEmpty: Bool { bytes.readableBytes == 0 && points.isEmpty }

    mutating func append(_ audio: ByteBuffer) {
        guard bytes.readableBytes + audio.readableBytes <= limit else {
            droppedBytes += audio.readableBytes
            return
        }
        if bytes.readableBytes == 0 {
            bytes.empty(keepingCapacity: Self.retainedCapacity)
        } else if bytes.readerIndex > 4096, bytes.readerIndex > bytes.readableBytes {
            // A rest of less than a packet may stay for ever; what has been played before it must not. Moves fewer bytes than
            // have been taken since the last time.
            bytes.discardReadBytes()
        }
        audio.withUnsafeReadableBytes { _ = bytes.writeBytes($0) }
    }

    /// A point of the same kind at the same place is replaced, so that a silent agent cannot fill the queue; beyond
    /// ``pointLimit`` only a goodbye is taken.
    mutating func append(_ point: Point) {
        let position = taken + bytes.readableBytes
        for index in points.indices.reversed() {
            guard points[index].position == position else { break }
            guard points[index].point.isOfKind(point) else { continue }
            // Of two goodbyes the first holds.
            if case .hangup = point { return }
            points[index].point = point
            return
        }
        guard points.count < Self.pointLimit || point.isOfKind(.hangup(EndReason(.agentHungUp))) else { return }
        points.append((position, point))
    }

    /// Takes the point that is due now: everything before it has been taken.
    mutating func takePoint() -> Point? {
        guard let first = points.first, first.position <= taken else { return nil }
        return points.removeFirst().point
    }

    /// Bytes up to the next point, or all of them.
    var byteCountBeforePoint: Int {
        points.first.map { min(bytes.readableBytes, $0.position - taken) } ?? bytes.readableBytes
    }

    /// Whether a point ends the audio that waits, so that a short rest need not wait for more.
    var hasPoint: Bool { !points.isEmpty }

    /// Whether the last that came was the end of a turn.
    var endsTurn: Bool {
        let end = taken + bytes.readableBytes
        return points.reversed().prefix { $0.position == end }.contains { $0.point.isOfKind(.turnEnded) }
    }

    /// Whether the agent has said goodbye.
    var endsCall: Bool { points.contains { if case .hangup = $0.point { true } else { false } } }

    /// What is left of an agent that is gone: its words up to their end, protected as it wanted, and nothing else that it
    /// wanted done.
    mutating func keepWords() {
        points.removeAll { if case .hangup = $0.point { true } else { false } }
        append(.turnEnded)
        append(.interruptible(true))
    }

    /// Moves `count` bytes into `destination`, which is emptied first.
    mutating func take(_ count: Int, into destination: inout ByteBuffer) {
        destination.clear()
        let moved = bytes.withUnsafeReadableBytes {
            destination.writeBytes(UnsafeRawBufferPointer(rebasing: $0.prefix(count)))
        }
        bytes.moveReaderIndex(forwardBy: moved)
        taken += moved
    }

    /// Forgets the audio. Points that survive an interruption become due at once.
    ///
    /// - Parameter isReplaced: Whether another agent takes over, for whom the former one's locks and goodbye mean nothing.
    mutating func interrupt(isReplaced: Bool = false) {
        bytes.empty(keepingCapacity: Self.retainedCapacity)
        taken = 0
        points = Deque(
            points.compactMap { entry in
                switch entry.point {
                case .turnEnded, .pause: nil
                case .interruptible, .hangup: isReplaced ? nil : (0, entry.point)
                }
            })
    }
}
