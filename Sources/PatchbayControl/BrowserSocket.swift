import Foundation
import Logging
import NIOCore
import PatchbayConfig
import PatchbayCore
import PatchbayTransports
import PatchbayWire

/// The socket of a caller without a telephone: waits for `start`, agrees on a format, takes the call and hands over.
final class BrowserSocket: WebSocketDelegate {
    /// A socket that says nothing for this long is closed.
    static let patience = TimeAmount.seconds(5)
    /// Bytes of messages kept while a call is being made.
    static let backlogLimit = 256 * 1024

    private enum Stage {
        case silent
        case taking([ByteBuffer], bytes: Int)
        case attached(Call)
        case closed
    }

    private struct State {
        var stage = Stage.silent
        var timer: Scheduled<Void>?
        var scratch = ByteBuffer()
        /// Held while the socket is open.
        var place: BrowserPlaces.Place?
    }

    private let switchboard: Switchboard
    private let caller: BrowserAdmission.Caller
    private let state: NIOLoopBoundBox<State>

    /// On the connection's loop.
    init(
        _ connection: WebSocketConnection, _ switchboard: Switchboard, _ caller: BrowserAdmission.Caller,
        _ place: BrowserPlaces.Place
    ) {
        self.switchboard = switchboard
        self.caller = caller
        state = NIOLoopBoundBox(State(place: place), eventLoop: connection.eventLoop)
        state.value.timer = connection.eventLoop.scheduleTask(in: Self.patience) {
            connection.close(code: 1008, reason: "no start within 5 s")
        }
    }

    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        switch state.value.stage {
        case .silent: begin(text, connection)
        case .taking, .attached:
            // Answered here: a call sends only what belongs to its sound.
            if text.readableBytes < 64, case .ping(let id)? = try? decode(text) {
                reply(.pong(id: id), connection)
            } else {
                deliver(text, connection)
            }
        case .closed: break
        }
    }

    func webSocketDidReceive(binary: ByteBuffer, from connection: WebSocketConnection) {
        state.value.scratch.clear()
        state.value.scratch.writeInteger(BrowserSerializer.binaryMark)
        state.value.scratch.writeImmutableBuffer(binary)
        deliver(state.value.scratch, connection)
    }

    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {
        state.value.timer?.cancel()
        state.value.timer = nil
        let stage = state.value.stage
        state.value.stage = .closed
        if case .attached(let call) = stage { call.carrierClosed() }
        state.value.place = nil
    }

    private func deliver(_ message: ByteBuffer, _ connection: WebSocketConnection) {
        switch state.value.stage {
        case .attached(let call): call.carrierReceived(message)
        case .taking(var waiting, let bytes):
            guard bytes + message.readableBytes + 64 <= Self.backlogLimit else {
                return connection.close(code: 1013, reason: "the call could not be made in time")
            }
            // The list has one owner while it grows.
            state.value.stage = .closed
            waiting.append(message)
            state.value.stage = .taking(waiting, bytes: bytes + message.readableBytes + 64)
        case .silent: connection.close(code: 1008, reason: "the first message has to be start")
        case .closed: break
        }
    }

    // MARK: Start

    private func begin(_ message: ByteBuffer, _ connection: WebSocketConnection) {
        let offer: AgentSocketAudioOffer
        do {
            guard case .start(let audio, _) = try decode(message) else {
                return refuse("failed", "the first message has to be start", connection)
            }
            offer = audio
        } catch {
            return refuse("failed", "\(error)", connection)
        }
        guard let format = BrowserTransport().socketFormat(caller.document.transportSettings) else {
            return refuse("failed", "the pipeline's format has no name in the protocol", connection)
        }
        guard offer.inputs.isEmpty || offer.inputs.contains(format),
            offer.outputs.isEmpty || offer.outputs.contains(format)
        else {
            return refuse("settingRefused", "this server takes and gives \(format) only; offer it", connection)
        }
        state.value.timer?.cancel()
        state.value.timer = nil
        state.value.stage = .taking([], bytes: 0)
        take(AgentSocketAudioChoice(form: offer.form, input: format, output: format), connection)
    }

    private func take(_ choice: AgentSocketAudioChoice, _ connection: WebSocketConnection) {
        // Names that a stranger gives are not believed.
        var order = CallOrder(callSid: Self.makeSid(), from: "", to: "")
        order.pipeline = caller.document.name
        order.tenant = caller.tenant
        // A caller who does not wait keeps the place until the call that is being made is over.
        Task { [order, place = state.value.place] in
            do throws(Switchboard.Refusal) {
                let record = try await switchboard.take(order)
                switchboard.audit.note(
                    "browser.call", order.callSid, by: caller.principal, peer: caller.peer, tenant: caller.tenant)
                connection.eventLoop.execute { self.attach(record, choice, connection, place) }
            } catch {
                connection.eventLoop.execute { self.refuse("failed", error.words.text, connection) }
            }
        }
    }

    private func attach(
        _ record: CallRecord, _ choice: AgentSocketAudioChoice, _ connection: WebSocketConnection,
        _ place: BrowserPlaces.Place?
    ) {
        guard case .taking(let waiting, _) = state.value.stage else {
            // The caller did not wait.
            Task {
                await record.call.streamLost()
                withExtendedLifetime(place) {}
            }
            return
        }
        guard connection.eventLoop === record.call.loop, record.call.attach(carrier: connection) else {
            return refuse("failed", "the call cannot take this socket", connection)
        }
        StreamMeters.accepted.increment()
        reply(.ready(choice, conversation: record.info.id), connection)
        state.value.stage = .attached(record.call)
        var message = ByteBuffer()
        CallerSocketMessage.writeStart(choice.form ?? .binary, call: record.info.callSid, into: &message)
        record.call.carrierReceived(message)
        for waiting in waiting { record.call.carrierReceived(waiting) }
    }

    // MARK: Messages

    private func decode(_ text: ByteBuffer) throws(WireError) -> CallerSocketMessage {
        var audio = ByteBuffer()
        return try CallerSocketMessage.decode(text, audio: &audio)
    }

    private func reply(_ message: AgentSocketServerMessage, _ connection: WebSocketConnection) {
        var batch = MessageBatch()
        batch.text { message.write(into: &$0) }
        _ = connection.send(&batch)
    }

    private func refuse(_ code: String, _ message: String, _ connection: WebSocketConnection) {
        switchboard.logger.warning("browser refused", metadata: ["reason": "\(CallLog.line(message))"])
        StreamMeters.refused.increment()
        switchboard.audit.note(
            "browser.refused", caller.document.name, by: caller.principal, peer: caller.peer, outcome: message,
            tenant: caller.tenant)
        reply(.error(.init(code: code, message: message)), connection)
        connection.close(code: 1008, reason: code)
    }

    private static func makeSid() -> String {
        var generator = SystemRandomNumberGenerator()
        return "WS" + String(generator.next() as UInt64, radix: 16) + String(generator.next() as UInt64, radix: 16)
    }
}
