import Foundation
import Logging
import NIOCore
import PatchbayCore
import PatchbayTransports
import PatchbayWire

/// The first seconds of a carrier's stream: waits for `start`, checks the token, finds or makes the call and hands over.
final class StreamSocket: WebSocketDelegate {
    /// A socket that says nothing for this long is closed.
    static let patience = TimeAmount.seconds(5)
    /// Bytes of messages kept while a call is being made: more than ten seconds of audio.
    static let backlogLimit = 256 * 1024
    /// What a message counts beside its bytes, so that empty ones are bounded too.
    private static let messageBytes = 64

    private struct State {
        var timer: Scheduled<Void>?
        var isMaking = false
        var backlog: [ByteBuffer] = []
        var backlogBytes = 0
        var faults = 0
        var isClosed = false
    }

    private let switchboard: Switchboard
    /// The address at the other end, for the audit trail.
    private let peer: String
    private let state: NIOLoopBoundBox<State>
    private let logger: Logger

    /// On the connection's loop.
    init(_ connection: WebSocketConnection, _ switchboard: Switchboard, peer: String) {
        self.switchboard = switchboard
        self.peer = peer
        logger = switchboard.logger
        state = NIOLoopBoundBox(State(), eventLoop: connection.eventLoop)
        state.value.timer = connection.eventLoop.scheduleTask(in: Self.patience) {
            connection.close(code: 1008, reason: "no start within 5 s")
        }
    }

    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        if state.value.isMaking {
            state.value.backlogBytes += text.readableBytes + Self.messageBytes
            if state.value.backlogBytes > Self.backlogLimit {
                connection.close(code: 1013, reason: "the call could not be made in time")
            } else {
                state.value.backlog.append(text)
            }
            return
        }
        var payload = ByteBuffer()
        let message: TwilioMessage
        do {
            message = try TwilioMessageDecoder().decode(text, payload: &payload)
        } catch {
            fault("\(error)", connection)
            return
        }
        switch message {
        case .start(let start): started(start, text, connection)
        case .connected, .unknown: break
        case .media: fault("media before start was dropped", connection)
        case .dtmf: fault("dtmf before start was dropped", connection)
        case .mark: fault("mark before start was dropped", connection)
        case .stop: connection.close()
        }
    }

    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {
        state.value.timer?.cancel()
        state.value.timer = nil
        state.value.isClosed = true
    }

    private func fault(_ message: String, _ connection: WebSocketConnection) {
        state.value.faults += 1
        if state.value.faults == 1 { logger.warning("stream message dropped", metadata: ["reason": "\(message)"]) }
        if state.value.faults > 20 { connection.close(code: 1008, reason: "no usable start") }
    }

    private func started(_ start: TwilioStart, _ message: ByteBuffer, _ connection: WebSocketConnection) {
        state.value.timer?.cancel()
        state.value.timer = nil
        let parameters = start.customParameters
        let now = Int(Date().timeIntervalSince1970)
        let claim: StreamToken.Claim
        do {
            guard let token = parameters["token"] else { throw StreamToken.Refusal.malformed }
            claim = try switchboard.tokens.verify(
                token, .stream, callSid: start.callSid, from: parameters["from"] ?? "", to: parameters["to"] ?? "",
                now: now)
        } catch {
            refuse("\(error)", start, connection)
            return
        }
        do throws(CallRegistry.NonceFault) {
            try switchboard.registry.use(nonce: claim.nonce, expires: claim.expires, now: now)
        } catch {
            refuse("\(error)", start, connection)
            return
        }
        if let end = switchboard.registry.latest(callSid: start.callSid)?.end, end.isOrderly {
            refuse("the call has ended: \(end)", start, connection)
        } else if let record = switchboard.registry.running(callSid: start.callSid) {
            handOver(connection, to: record.call, message)
            useUpElsewhere(claim, start, connection)
        } else {
            make(claim, start, message, connection)
        }
    }

    /// Uses the token up for all processes of the store, beside a call that runs here: its caller does not wait for that.
    private func useUpElsewhere(
        _ claim: StreamToken.Claim, _ start: TwilioStart, _ connection: WebSocketConnection
    ) {
        Task {
            guard await switchboard.isFirst("stream", claim.nonce) == false else { return }
            refuse("\(CallRegistry.NonceFault.used)", start, connection)
        }
    }

    /// Another replica answered the webhook, or this one was started since: the token says all that is needed.
    ///
    /// A store that fails lets the caller in: the token is good, and whether it was used elsewhere is not known.
    private func make(
        _ claim: StreamToken.Claim, _ start: TwilioStart, _ message: ByteBuffer, _ connection: WebSocketConnection
    ) {
        state.value.isMaking = true
        Task {
            let known = switchboard.registry.latest(callSid: claim.callSid)
            async let isFirst = switchboard.isFirst("stream", claim.nonce)
            async let entry = switchboard.entry(of: claim.callSid, besides: known)
            var order = CallOrder(callSid: claim.callSid, from: claim.from, to: claim.to)
            order.contextKey = claim.nonce
            order.isResumed = claim.resumes > 0
            let former = await entry
            if await isFirst == false { return refuse("\(CallRegistry.NonceFault.used)", start, connection) }
            if let end = former.flatMap(CallEnding.reason), end.isOrderly {
                return refuse("the call has ended: \(end)", start, connection)
            }
            order = await switchboard.completed(order, former: former)
            do throws(Switchboard.Refusal) {
                let record = try await switchboard.take(order)
                connection.eventLoop.execute { self.handOver(connection, to: record.call, message) }
                await switchboard.outbound.began(record.info)
            } catch {
                switchboard.note(error, of: order, peer: peer)
                connection.close(code: 1000, reason: error.code)
            }
        }
    }

    private func handOver(_ connection: WebSocketConnection, to call: Call, _ message: ByteBuffer) {
        guard !state.value.isClosed else {
            Task { await call.streamLost() }
            return
        }
        // A host that serves on more than one loop would otherwise enter the call from the wrong one.
        guard connection.eventLoop === call.loop, call.attach(carrier: connection) else {
            connection.close(code: 1008, reason: "the call cannot take this stream")
            return
        }
        StreamMeters.accepted.increment()
        connection.setDelegate(CarrierSocket(call))
        call.carrierReceived(message)
        for waiting in state.value.backlog { call.carrierReceived(waiting) }
        state.value.backlog = []
    }

    private func refuse(_ reason: String, _ start: TwilioStart, _ connection: WebSocketConnection) {
        logger.warning("stream refused", metadata: ["reason": "\(reason)", "callSid": "\(start.callSid)"])
        StreamMeters.refused.increment()
        switchboard.audit.note(
            "stream.refused", start.callSid, by: .stranger, peer: peer, outcome: reason)
        connection.close(code: 1008, reason: reason)
    }
}
