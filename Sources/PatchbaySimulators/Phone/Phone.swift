public import AsyncHTTPClient
import Foundation
public import NIOCore
public import NIOSSL
import PatchbayAudio
import PatchbayCore
public import PatchbayTransports
import PatchbayWire

/// A caller at a telephone, behind a carrier that behaves as Twilio does: posts the signed webhook, obeys the TwiML, streams
/// both ways in real time, and asks for the next step when the stream has ended. Works against anybody's server.
public struct Phone: Sendable {
    public struct Options: Sendable {
        /// Where the voice webhook is, for instance `http://127.0.0.1:8080/twilio/voice`.
        public var voiceURL: String
        /// Where the end of the call is reported; nowhere when absent.
        public var statusURL: String?
        public var from = "+15550100001"
        public var to = "+15550100002"
        /// Signs the webhooks and the handshake; without it they carry no signature.
        public var authToken: String?
        /// What the person does; afterwards the line stays open until the other side hangs up or the limit is reached.
        public var steps: [PhoneStep] = []
        /// The person hangs up after this long, in milliseconds of the stream.
        public var maximumMilliseconds = 60_000
        public var callSid = Phone.makeSid("CA")

        public init(voiceURL: String) { self.voiceURL = voiceURL }
    }

    /// What one call was like.
    public struct Report: Sendable {
        public var callSid: String
        /// Words the carrier spoke, in order, before, between and after streams.
        public var said: [String] = []
        /// Verbs of the answers, in order.
        public var steps: [TwiMLStep] = []
        /// The streams of the call; normally one.
        public var streams: [PhoneLine] = []
        /// How each stream's socket was closed.
        public var closes: [WebSocketClose] = []
    }

    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    private let httpClient: HTTPClient
    private let loop: any EventLoop
    private let tls: NIOSSLContext?

    /// - Parameter loop: Where the stream's socket and the packets' clock live.
    public init(httpClient: HTTPClient, on loop: any EventLoop, tls: NIOSSLContext? = nil) {
        self.httpClient = httpClient
        self.loop = loop
        self.tls = tls
    }

    /// A random identifier in the carrier's form: two letters and 32 hexadecimal digits.
    public static func makeSid(_ prefix: String) -> String {
        prefix + UUID().uuidString.replacing("-", with: "").lowercased()
    }

    /// Calls, and returns when the call is over.
    ///
    /// - Parameter observe: Told after every tick, for progress.
    /// - Throws: ``Failure`` when the server's answers cannot be obeyed.
    public func call(_ options: Options, observe: @escaping @Sendable (PhoneLine) -> Void = { _ in }) async throws
        -> Report
    {
        var report = Report(callSid: options.callSid)
        var url = options.voiceURL
        var status = "ringing"
        // A server that redirects in circles does not keep the phone for ever.
        for _ in 0..<10 {
            let document = try await post(url, status: status, options)
            let steps: [TwiMLStep]
            do {
                steps = try TwiMLReader.read(document)
            } catch {
                throw Failure(description: "\(url): \(error)")
            }
            report.steps += steps
            guard let next = try await obey(steps, options, &report, observe) else { break }
            url = URL(string: next, relativeTo: URL(string: url))?.absoluteString ?? next
            status = "in-progress"
        }
        if let statusURL = options.statusURL { _ = try? await post(statusURL, status: "completed", options) }
        return report
    }

    /// - Returns: Where to ask for more, or `nil` when the call is over.
    private func obey(
        _ steps: [TwiMLStep], _ options: Options, _ report: inout Report,
        _ observe: @escaping @Sendable (PhoneLine) -> Void
    ) async throws -> String? {
        for step in steps {
            switch step {
            case .say(let words): report.said.append(words)
            case .pause(let seconds): try await Task.sleep(for: .seconds(min(seconds, 10)))
            case .hangup, .reject: return nil
            case .redirect(let url): return url
            case .connect(let url, let action, let parameters):
                let (line, close) = try await stream(url, parameters, options, observe)
                report.streams.append(line)
                report.closes.append(close)
                if line.isHungUp { return nil }
                if let action { return action }
            case .other(let verb): report.said.append("[\(verb)]")
            }
        }
        return nil
    }

    private func post(_ url: String, status: String, _ options: Options) async throws -> Data {
        let form = FormFields([
            "CallSid": options.callSid, "AccountSid": "AC" + String(repeating: "0", count: 32), "From": options.from,
            "To": options.to, "Caller": options.from, "Called": options.to, "CallStatus": status,
            "Direction": "inbound",
            "ApiVersion": "2010-04-01", "FromCity": "",
        ])
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        if let token = options.authToken, let signature = TwilioSignature(secrets: [token]).sign(url: url, form: form) {
            request.headers.add(name: "X-Twilio-Signature", value: signature)
        }
        request.body = .bytes(ByteBuffer(string: form.encoded))
        let response = try await httpClient.execute(request, timeout: .seconds(15))
        let body = try await response.body.collect(upTo: 1 << 20)
        guard response.status.code / 100 == 2 else {
            throw Failure(
                description: "\(url) answered \(response.status.code): \(String(buffer: body).prefix(300))")
        }
        return Data(body.readableBytesView)
    }

    private func stream(
        _ url: String, _ parameters: [String: String], _ options: Options,
        _ observe: @escaping @Sendable (PhoneLine) -> Void
    ) async throws -> (PhoneLine, WebSocketClose) {
        var target = WebSocketTarget(url)
        if let token = options.authToken, let signature = TwilioSignature(secrets: [token]).sign(url: url) {
            target.headers.append(("X-Twilio-Signature", signature))
        }
        let start = TwilioStart(
            streamSid: Self.makeSid("MZ"), callSid: options.callSid,
            accountSid: "AC" + String(repeating: "0", count: 32),
            customParameters: parameters)
        let connection: WebSocketConnection
        do {
            connection = try await WebSocketClient.connect(to: target, on: loop, tls: tls)
        } catch {
            throw Failure(description: "the stream at \(url) cannot be opened: \(error)")
        }
        let driver = PhoneDriver(
            PhoneLine(start: start, steps: options.steps), on: loop, limit: options.maximumMilliseconds / 20,
            observe: observe)
        return try await loop.flatSubmit {
            driver.begin(on: connection)
            return driver.done.futureResult
        }.get()
    }
}

/// Gives a phone line its socket and its clock.
private final class PhoneDriver: WebSocketDelegate {
    private struct State {
        var line: PhoneLine
        var batch = MessageBatch()
        var connection: WebSocketConnection?
        var startedAt = NIODeadline.now()
        var isOver = false

        /// Lets the line act, and sends what it has to say.
        mutating func run(_ body: (inout PhoneLine, inout MessageBatch) -> Void) {
            body(&line, &batch)
            guard !batch.isEmpty else { return }
            if let connection {
                connection.send(&batch)
            } else {
                batch.clear()
            }
        }
    }

    let done: EventLoopPromise<(PhoneLine, WebSocketClose)>
    private let loop: any EventLoop
    private let state: NIOLoopBoundBox<State>
    private let limit: Int
    private let observe: @Sendable (PhoneLine) -> Void

    init(_ line: PhoneLine, on loop: any EventLoop, limit: Int, observe: @escaping @Sendable (PhoneLine) -> Void) {
        self.loop = loop
        self.limit = limit
        self.observe = observe
        done = loop.makePromise()
        state = .makeBoxSendingValue(State(line: line), eventLoop: loop)
    }

    func begin(on connection: WebSocketConnection) {
        state.value.connection = connection
        state.value.startedAt = .now()
        connection.setDelegate(self)
        state.value.run { $0.begin(into: &$1) }
        scheduleTick()
    }

    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        state.value.run { $0.receive(text, into: &$1) }
    }

    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {
        guard !state.value.isOver else { return }
        state.value.isOver = true
        done.succeed((state.value.line, close))
    }

    /// Absolute deadlines: a late tick is made up for by the next ones.
    private func scheduleTick() {
        let due = state.value.startedAt + .milliseconds(Int64(state.value.line.tick) * 20)
        loop.scheduleTask(deadline: due) { self.tick() }
    }

    private func tick() {
        guard !state.value.isOver else { return }
        let limit = limit
        state.value.run { line, batch in
            if line.tick >= limit { line.hangUp(into: &batch) }
            line.tick(into: &batch)
        }
        observe(state.value.line)
        if state.value.line.isHungUp {
            state.value.connection?.close()
        } else {
            scheduleTick()
        }
    }
}
