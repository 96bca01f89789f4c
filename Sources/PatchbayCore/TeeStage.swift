import NIOCore

/// Sends a copy of everything into a side chain that can neither delay nor change the call.
///
/// Every frame passes at once and unchanged. The side chain gets its copies only in ``deadlineReached(at:into:)``, when the work
/// of the step that brought them is done, in the order in which they came. It hears of the end of the call at once, because
/// nothing follows. What leaves the side chain at its end is dropped, and so is what its stages ask the call for. Data of a
/// turn that has been cut dies where it waits.
///
/// A stage that throws, or an ``AsyncStage`` whose processor does, switches the side chain off: the call goes on, and one
/// ``Frame/failure(_:)`` with the place goes downstream. Costs a copy of each payload, so that no stage in front of it, which
/// uses its buffer again for the next packet, has to look for another; allocates nothing once it is warm.
public struct TeeStage: Processor {
    /// `nil` once it has been switched off.
    private var side: Branch?
    private var waiting: FrameQueue
    /// Buffers of copies that have passed, to be written again.
    private var spare: [ByteBuffer] = []
    private var now = MediaTime.zero

    /// After a stall more copies wait than usual; their buffers are given back.
    private static let spareLimit = 4
    private static let spareBytes = 8 << 10

    /// - Parameters:
    ///   - stages: The side chain, in order.
    ///   - capacity: Frames that may wait, 1 or more. The data that has waited longest is dropped beyond it, nothing else.
    public init(_ stages: [Stage], capacity: Int = 64) {
        side = Branch(stages)
        waiting = FrameQueue(capacity: capacity)
        spare.reserveCapacity(Self.spareLimit)
    }

    /// Data frames that the side chain missed because too many waited.
    public var droppedCount: Int { waiting.droppedCount }

    /// Whether the side chain still runs.
    public var isRunning: Bool { side != nil }

    public var deadline: MediaTime? { waiting.isEmpty ? side?.deadline(from: now) : now }

    public mutating func attach(_ mailbox: StageMailbox) { side?.attach() }

    public mutating func receive(
        _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
    ) throws(PipelineError) {
        self.now = now
        output.emit(frame)
        guard side != nil else { return }
        if case .interruption(let interruption) = frame { side?.interrupted(by: interruption) }
        if let dropped = waiting.append(copy(frame)) { reuse(dropped) }
        // A failure now would be told to nobody.
        if case .callEnded = frame { try? run(at: now) }
    }

    public mutating func deadlineReached(
        at now: MediaTime, into output: inout FrameOutput
    ) throws(PipelineError) {
        self.now = now
        do throws(PipelineError) {
            try run(at: now)
        } catch {
            side = nil
            while waiting.popFirst() != nil {}
            spare = []
            var error = error
            error.message += "; the side chain is off from here on, the call goes on"
            output.emit(.failure(error))
        }
    }

    private mutating func run(at now: MediaTime) throws(PipelineError) {
        while let (_, frame) = waiting.popFirst() {
            try side?.send(frame, at: now)
            side?.discard()
            reuse(frame)
        }
        try side?.deadlineReached(at: now)
        side?.discard()
    }

    private mutating func copy(_ frame: Frame) -> Frame {
        guard case .audio(var audio) = frame else { return frame }
        var buffer = spare.popLast() ?? ByteBuffer()
        buffer.clear()
        audio.payload.withUnsafeReadableBytes { _ = buffer.writeBytes($0) }
        audio.payload = buffer
        return .audio(audio)
    }

    private mutating func reuse(_ frame: Frame) {
        guard case .audio(let audio) = frame, spare.count < Self.spareLimit, audio.payload.capacity <= Self.spareBytes
        else { return }
        spare.append(audio.payload)
    }
}
