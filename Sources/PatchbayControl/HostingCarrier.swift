public import Logging
public import NIOCore
public import PatchbayCore
import Synchronization

extension Switchboard {
    /// Takes a call that a transport of the host's own brings: finds its pipeline, builds its chain and begins to connect its
    /// agent. Not for an event loop.
    ///
    /// The pipeline's `transport` has to be the one whose messages the call will be given. On ``Call/loop``, attach a socket
    /// (``Call/attach(carrier:)``) and hand over its messages; ``CarrierHandler`` does so for any channel of SwiftNIO.
    ///
    /// - Parameters:
    ///   - callSid: The transport's own name for the call; a call that runs already under that name is returned as it is.
    ///   - from: The caller, as the transport knows it; may be empty.
    ///   - to: What was called: a number that a pipeline answers.
    /// - Throws: When nobody answers the number, an agent or stage cannot be made, or there are too many calls.
    public func takeCall(_ callSid: String, from: String, to: String) async throws(CallRefusal) -> Call {
        let order = CallOrder(callSid: callSid, from: from, to: to)
        do {
            return try await take(order).call
        } catch {
            note(error, of: order, peer: "")
            throw CallRefusal(code: error.code, words: error.words.text)
        }
    }
}

/// Why a call was not taken.
public struct CallRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// A stable name: `unknown-number`, `busy`, `draining`, or the code of a ``PatchbayCore/PipelineError``.
    public var code: String
    /// What the caller should hear.
    public var words: String
    public var description: String { "\(words) [\(code)]" }

    public init(code: String, words: String) {
        self.code = code
        self.words = words
    }
}

/// The last handler of a channel that carries one call: gives whole messages to the call, and writes what the call says.
///
/// Before it in the pipeline stands what cuts the bytes into messages and joins them again: a `ByteToMessageHandler` and a
/// `MessageToByteHandler`, or nothing on datagrams. What the messages mean is the business of the
/// ``PatchbayCore/CarrierSerializer`` that the pipeline's transport makes.
///
/// The first message opens the call; it and all that come meanwhile are given to the call once it has been taken. The channel
/// must live on the calls' event loop.
public final class CarrierHandler: ChannelInboundHandler {
    public typealias InboundIn = ByteBuffer
    public typealias OutboundOut = ByteBuffer

    /// A channel that says nothing for this long is closed.
    public static let patience = TimeAmount.seconds(5)
    /// Bytes of messages kept while a call is being taken; each counts for ``messageCost`` more than it holds.
    public static let backlogLimit = 256 * 1024
    /// What a message takes beside its bytes, so that empty ones cannot pile up.
    static let messageCost = 64

    private enum State {
        case silent
        case taking([ByteBuffer], cost: Int)
        case attached(Call, CarrierChannel)
        case closed
    }

    private let logger: Logger
    private let take: @Sendable (_ first: ByteBuffer) async throws -> Call
    private var state = State.silent
    private var timer: Scheduled<Void>?
    private var task: Task<Void, Never>?

    /// - Parameter take: Takes the call that the first message announces, most often by
    ///   ``Switchboard/takeCall(_:from:to:)``. When it throws, the channel is closed and the reason logged.
    public init(logger: Logger, take: @escaping @Sendable (_ first: ByteBuffer) async throws -> Call) {
        self.logger = logger
        self.take = take
    }

    public func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: Self.patience) {
            self.refuse("it said nothing for 5 s", context)
        }
    }

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let message = unwrapInboundIn(data)
        switch state {
        case .silent:
            timer?.cancel()
            state = .taking([message], cost: Self.messageCost + message.readableBytes)
            begin(message, context)
        case .taking(var waiting, let cost):
            let cost = cost + Self.messageCost + message.readableBytes
            guard cost <= Self.backlogLimit else { return refuse("the call could not be taken in time", context) }
            // The list has one owner while it grows.
            state = .closed
            waiting.append(message)
            state = .taking(waiting, cost: cost)
        case .attached(let call, let socket):
            // What NIO reads out of a socket whose write has failed comes from inside that write, which the call has made.
            if socket.isSending {
                call.loop.execute { call.carrierReceived(message) }
            } else {
                call.carrierReceived(message)
            }
        case .closed: break
        }
    }

    public func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    public func errorCaught(context: ChannelHandlerContext, error: any Error) { refuse("\(error)", context) }

    /// Peers that only close their sending side are gone for a call.
    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func begin(_ first: ByteBuffer, _ context: ChannelHandlerContext) {
        let loop = context.eventLoop
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: loop)
        let take = take
        task = Task {
            let result: Result<Call, any Error>
            do {
                result = .success(try await take(first))
            } catch {
                result = .failure(error)
            }
            loop.execute {
                let (handler, context) = bound.value
                switch result {
                case .success(let call): handler.attach(call, context)
                case .failure(let error): handler.refuse("\(error)", context)
                }
            }
        }
    }

    private func attach(_ call: Call, _ context: ChannelHandlerContext) {
        guard case .taking(let waiting, _) = state else {
            // The peer did not wait.
            Task { await call.streamLost() }
            return
        }
        guard context.eventLoop === call.loop else {
            Task { await call.streamLost() }
            return refuse("the channel is not on the event loop of the calls, switchboard.mediaLoop.eventLoop", context)
        }
        // Another channel announced the same call first; that one goes on.
        let socket = CarrierChannel(context.channel)
        guard call.attach(carrier: socket) else { return refuse("the call has a channel", context) }
        state = .attached(call, socket)
        for message in waiting { call.carrierReceived(message) }
    }

    private func refuse(_ reason: String, _ context: ChannelHandlerContext) {
        if case .closed = state { return }
        logger.warning("carrier's channel closed", metadata: ["reason": "\(reason)"])
        end()
        context.close(promise: nil)
    }

    private func end() {
        timer?.cancel()
        timer = nil
        task = nil
        let former = state
        state = .closed
        // Later, because a write of the call's own can find that the peer is gone: the call must not be entered from itself.
        if case .attached(let call, _) = former { call.loop.execute { call.carrierClosed() } }
    }
}

/// A channel of whole messages as a call sees it.
private final class CarrierChannel: MessageSocket {
    private let channel: any Channel
    private let sends = Atomic(false)

    init(_ channel: any Channel) { self.channel = channel }

    /// Whether the call is inside ``send(_:)`` just now.
    var isSending: Bool { sends.load(ordering: .relaxed) }

    func send(_ batch: inout MessageBatch) -> Bool {
        sends.store(true, ordering: .relaxed)
        defer {
            batch.clear()
            sends.store(false, ordering: .relaxed)
        }
        // Audio is sent at real-time speed: a peer that has let so much pile up does not listen.
        guard channel.isWritable else {
            channel.close(promise: nil)
            return false
        }
        for index in batch.messages.indices { channel.write(batch.message(at: index), promise: nil) }
        channel.flush()
        return true
    }

    func close(code: UInt16, reason: String) { channel.close(promise: nil) }
}
