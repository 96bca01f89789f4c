import NIOCore
import NIOPosix
import PatchbayCore
import PatchbayTransports

/// One conversation on its socket: gives the simulated one its time, and does what it asks for. Lives on one event
/// loop.
final class RunningConversation<Conversation: SimulatedConversation> {
    private var simulator: FaultyConversation<Conversation>
    private var output = SimulatorOutput()
    let connection: WebSocketConnection
    private let ended: (Conversation.Statistics) -> Void
    private var timer: (scheduled: Scheduled<Void>, due: MediaTime)?
    private var isClosed = false

    init(
        _ simulator: FaultyConversation<Conversation>, connection: WebSocketConnection,
        ended: @escaping (Conversation.Statistics) -> Void
    ) {
        self.simulator = simulator
        self.connection = connection
        self.ended = ended
    }

    var statistics: Conversation.Statistics { simulator.statistics }

    func perform(_ body: (inout FaultyConversation<Conversation>, MediaTime, inout SimulatorOutput) -> Void) {
        guard !isClosed else { return }
        body(&simulator, .now, &output)
        if !output.messages.isEmpty { let _: Bool = connection.send(&output.messages) }
        if let request = output.speech {
            output.speech = nil
            make(request)
        }
        if let close = output.close {
            output.close = nil
            if close.code == 1006 {
                let channel = connection.channel
                channel.eventLoop.execute { channel.close(promise: nil) }
            } else {
                connection.close(code: close.code, reason: close.reason)
            }
        }
        schedule()
    }

    func closed(code: UInt16, reason: String) {
        guard !isClosed else { return }
        isClosed = true
        timer?.scheduled.cancel()
        timer = nil
        simulator.closed(code: code, reason: reason)
        ended(simulator.statistics)
    }

    /// A timer that is early only asks again, so a deadline that moves back with every message costs nothing.
    private func schedule() {
        guard let due = simulator.deadline else {
            timer?.scheduled.cancel()
            timer = nil
            return
        }
        if let timer, timer.due <= due { return }
        timer?.scheduled.cancel()
        let deadline = NIODeadline.uptimeNanoseconds(UInt64(max(0, due.nanoseconds)))
        let scheduled = connection.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.timer = nil
            self.perform { $0.deadlineReached(at: $1, into: &$2) }
        }
        timer = (scheduled, due)
    }

    /// Speech synthesis blocks, so it has a thread of its own.
    private func make(_ request: SpeechRequest) {
        let voice = SimulatorVoice(format: request.format)
        let result = NIOThreadPool.singleton.runIfActive(eventLoop: connection.eventLoop) {
            Result { () throws(PipelineError) in try voice.speak(text: request.text, language: request.language).audio }
        }
        result.assumeIsolated().whenSuccess { audio in
            self.perform { $0.speechReady(request, audio, at: $1, into: &$2) }
        }
    }
}

/// Joins a WebSocket to its conversation.
final class SimulatorSocket<Conversation: SimulatedConversation>: WebSocketDelegate {
    private let conversation: NIOLoopBound<RunningConversation<Conversation>>

    /// On the connection's event loop only.
    init(_ conversation: RunningConversation<Conversation>, eventLoop: any EventLoop) {
        self.conversation = NIOLoopBound(conversation, eventLoop: eventLoop)
    }

    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        conversation.value.perform { $0.receive(.text, text, at: $1, into: &$2) }
    }

    func webSocketDidReceive(binary: ByteBuffer, from connection: WebSocketConnection) {
        conversation.value.perform { $0.receive(.binary, binary, at: $1, into: &$2) }
    }

    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {
        conversation.value.closed(code: close.code, reason: close.reason)
    }
}

extension MediaTime {
    /// The event loops' clock.
    static var now: MediaTime { MediaTime(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds)) }
}
