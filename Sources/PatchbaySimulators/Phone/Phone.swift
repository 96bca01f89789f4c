public import AsyncHTTPClient
public import Foundation
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
        public var accountSid = "AC" + String(repeating: "0", count: 32)
        /// `inbound`, or `outbound-api` for a call that the server had dialled.
        public var direction = "inbound"
        /// What the first webhook says of the call.
        public var status = "ringing"
        /// More fields of every webhook.
        public var fields: [String: String] = [:]

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
        /// Numbers that the carrier was told to connect the call with, in order; each of them answers and hangs up at once.
        public var dialled: [String] = []
    }

    /// Where instructions come from.
    public enum Instructions: Sendable {
        case url(String)
        /// TwiML, and what its relative addresses start from.
        case document(Data, base: String)
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
        let report = try await run(.url(options.voiceURL), options, observe: observe)
        if let statusURL = options.statusURL { _ = try? await post(statusURL, status: "completed", options) }
        return report
    }

    /// Obeys instructions until there are none left, and reports nothing to the status webhook.
    ///
    /// Cancelling the task ends the stream as a carrier does that is told to do something else.
    ///
    /// - Throws: ``Failure`` when the server's answers cannot be obeyed; `CancellationError`.
    public func run(
        _ instructions: Instructions, _ options: Options, observe: @escaping @Sendable (PhoneLine) -> Void = { _ in }
    ) async throws -> Report {
        var report = Report(callSid: options.callSid)
        var status = options.status
        var (instructions, options) = (instructions, options)
        // A server that redirects in circles does not keep the phone for ever.
        for _ in 0..<10 {
            let (document, url): (Data, String)
            switch instructions {
            case .url(let address): (document, url) = (try await post(address, status: status, options), address)
            case .document(let text, let base): (document, url) = (text, base)
            }
            try Task.checkCancellation()
            let steps: [TwiMLStep]
            do {
                steps = try TwiMLReader.read(document)
            } catch {
                throw Failure(description: "\(url): \(error)")
            }
            report.steps += steps
            let dialled = report.dialled.count
            guard let next = try await obey(steps, options, &report, observe) else { break }
            options.fields["DialCallStatus"] = report.dialled.count > dialled ? "completed" : nil
            instructions = .url(URL(string: next, relativeTo: URL(string: url))?.absoluteString ?? next)
            status = "in-progress"
        }
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
                try Task.checkCancellation()
                if line.isHungUp { return nil }
                if let action { return action }
            case .dial(let number, _, let action):
                report.said.append("[Dial]")
                report.dialled.append(number)
                if let action { return action }
            case .other(let verb): report.said.append("[\(verb)]")
            }
        }
        return nil
    }

    private func post(_ url: String, status: String, _ options: Options) async throws -> Data {
        var form = FormFields([
            "CallSid": options.callSid, "AccountSid": options.accountSid, "From": options.from,
            "To": options.to, "Caller": options.from, "Called": options.to, "CallStatus": status,
            "Direction": options.direction, "ApiVersion": "2010-04-01", "FromCity": "",
        ])
        for (name, value) in options.fields.sorted(by: { $0.key < $1.key }) { form.append(name, value) }
        return try await post(url, form, authToken: options.authToken)
    }

    /// Posts a form with its signature.
    func post(_ url: String, _ form: FormFields, authToken: String?) async throws -> Data {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        if let token = authToken, let signature = TwilioSignature(secrets: [token]).sign(url: url, form: form) {
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
            accountSid: options.accountSid,
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
        return try await withTaskCancellationHandler {
            try await loop.flatSubmit {
                driver.begin(on: connection)
                return driver.done.futureResult
            }.get()
        } onCancel: {
            loop.execute { driver.hangUp() }
        }
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

    /// The next tick closes the socket.
    func hangUp() {
        guard !state.value.isOver else { return }
        state.value.run { $0.hangUp(into: &$1) }
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
