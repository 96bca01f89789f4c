public import NIOCore
public import PatchbayCore

/// Gives a ``FileLine`` its clock and its call: the line in real time, on the call's event loop.
public final class FileDriver: MessageSocket {
    private struct State {
        var line: FileLine
        /// What the line has to say; handed over at the next tick, never while the call is at work.
        var batch = MessageBatch()
        var startedAt = NIODeadline.now()
        var isOver = false

        mutating func begin() {
            startedAt = .now()
            line.begin(into: &batch)
        }

        mutating func tick() { line.tick(into: &batch) }
        mutating func receive(_ message: ByteBuffer) { line.receive(message, into: &batch) }

        mutating func takeMessages() -> [ByteBuffer] {
            defer { batch.clear() }
            return batch.messages.indices.map { batch.message(at: $0) }
        }
    }

    private let call: Call
    private let state: NIOLoopBoundBox<State>
    private let done: EventLoopPromise<FileSound>

    /// On the call's loop only.
    public init(_ line: sending FileLine, _ call: Call) {
        self.call = call
        state = .makeBoxSendingValue(State(line: line), eventLoop: call.loop)
        done = call.loop.makePromise()
    }

    /// Begins the stream. On the call's loop only.
    ///
    /// - Returns: Completes when the call has closed its side.
    public func begin() -> EventLoopFuture<FileSound> {
        guard call.attach(carrier: self) else {
            done.succeed(state.value.line.sound)
            return done.futureResult
        }
        state.value.begin()
        deliver()
        schedule()
        return done.futureResult
    }

    public func send(_ batch: inout MessageBatch) -> Bool {
        for index in batch.messages.indices { state.value.receive(batch.message(at: index)) }
        batch.clear()
        return !state.value.isOver
    }

    public func close(code: UInt16, reason: String) {
        guard !state.value.isOver else { return }
        state.value.isOver = true
        done.succeed(state.value.line.sound)
    }

    /// Absolute deadlines: a late tick is made up for by the next ones.
    private func schedule() {
        let passed = state.value.line.packetDuration.nanoseconds * Int64(state.value.line.tick + 1)
        call.loop.scheduleTask(deadline: state.value.startedAt + .nanoseconds(passed)) { self.tick() }
    }

    private func tick() {
        guard !state.value.isOver else { return }
        state.value.tick()
        deliver()
        // After that the line only waits to be closed, and its time stands still.
        if !state.value.isOver, !state.value.line.isHungUp { schedule() }
    }

    private func deliver() {
        for message in state.value.takeMessages() { call.carrierReceived(message) }
    }
}
