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
    }

    /// Storage beyond this is given back, so that one long answer does not occupy memory for the rest of the call.
    static let retainedCapacity = 64 * 1024
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

    mutating func append(_ point: Point) { points.append((taken + bytes.readableBytes, point)) }

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
        guard let last = points.last, case .turnEnded = last.point else { return false }
        return last.position == taken + bytes.readableBytes
    }

    /// Whether the agent has said goodbye.
    var endsCall: Bool { points.contains { if case .hangup = $0.point { true } else { false } } }

    /// What is left of an agent that is gone: its words up to their end, and nothing that it wanted done.
    mutating func keepWords() {
        points.removeAll {
            switch $0.point {
            case .interruptible, .hangup: true
            case .turnEnded, .pause: false
            }
        }
        append(.turnEnded)
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
    /// - Parameter isReplaced: Whether another agent takes over, for whom the former one's locks mean nothing.
    mutating func interrupt(isReplaced: Bool = false) {
        bytes.empty(keepingCapacity: Self.retainedCapacity)
        taken = 0
        points = Deque(
            points.compactMap { entry in
                switch entry.point {
                case .turnEnded, .pause: nil
                case .interruptible: isReplaced ? nil : (0, entry.point)
                case .hangup: (0, entry.point)
                }
            })
    }
}
