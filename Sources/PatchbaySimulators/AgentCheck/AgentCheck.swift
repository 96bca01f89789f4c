public import NIOCore
import PatchbayAudio
public import PatchbayCore
public import PatchbayWire

/// A short conversation with an agent over the open protocol, as Patchbay would lead it, that notes what the agent gets wrong.
///
/// A value without a socket and without a clock: the caller greets back, asks, interrupts, presses a key, answers a tool call,
/// sends a message of the future, and hangs up.
public struct AgentCheck: Sendable {
    /// What is played, and how patiently.
    public struct Plan: Sendable {
        public var audio = AgentSocketAudioOffer(
            inputs: AgentCheck.offered, outputs: AgentCheck.offered)
        public var variables: [String: AgentSocketVariable] = [:]
        /// What the pipeline that is played tells of the caller's speech.
        public var edges = Edges.turns
        /// What the caller says, in linear samples at 16 kHz.
        public var question: ByteBuffer
        public var readyPatience = TimeSpan.seconds(10)
        /// Quiet after the greeting before the caller speaks; an agent may take so long to greet.
        public var greetingPatience = TimeSpan.milliseconds(1500)
        /// An answer that begins later is late.
        public var promptness = TimeSpan.milliseconds(2500)
        public var answerPatience = TimeSpan.seconds(8)
        /// So long an answer is listened to.
        public var listening = TimeSpan.seconds(8)
        /// How long the caller speaks over an answer, at least.
        public var stopPatience = TimeSpan.seconds(2)
        public var pongPatience = TimeSpan.seconds(2)

        public init(question: ByteBuffer) { self.question = question }
    }

    /// What a pipeline tells an agent of the caller's speech.
    public enum Edges: String, Sendable, CaseIterable {
        /// With `vad` and `turns`: where turns begin and end, and interruptions.
        case turns
        /// With `vad` alone: where speech begins and ends. Only the agent interrupts itself.
        case vad
        /// Nothing.
        case none
    }

    /// What the owner has to do after a call of the check.
    public struct Output: Sendable {
        public var messages = MessageBatch()
        /// Close the socket with 1000 after the messages were sent.
        public var closes = false
        /// Nothing more will come: the report is complete.
        public var isComplete = false

        public init() {}
    }

    enum Step: Equatable {
        case awaitingReady
        case greeting
        /// The caller speaks for the first, second, … time, counted from 0.
        case asking(Int)
        case awaitingAnswer(Int)
        case listening(Int)
        /// The agent is being interrupted: the caller speaks over it.
        case interrupting
        /// Key, context, unknown message, ping.
        case curiosities
        case ending
        case over
    }

    static let tick = TimeSpan.milliseconds(20)
    static let offered =
        [AgentSocketFormat(.mulaw, sampleRate: 8000), AgentSocketFormat(.alaw, sampleRate: 8000)]
        + AgentSocketFormat.sampleRates.map { AgentSocketFormat(.pcm16, sampleRate: $0) }
    static let tool = AgentSocketStart.Tool(
        "lookup", description: "Looks up what a word means.",
        parameters: #"{"type":"object","properties":{"word":{"type":"string"}},"required":["word"]}"#)

    let plan: Plan
    public internal(set) var report = AgentCheckReport()
    var step = Step.awaitingReady
    var stepBegan = MediaTime.zero
    var opened = MediaTime.zero
    var ear: AgentCheckEar?
    var form: AgentSocketAudioForm
    var inputFormat: AgentSocketFormat?
    /// What the caller still has to say, in the input format.
    var voice = ByteBuffer()
    var spokenQuestion = ByteBuffer()
    /// When the caller's turn ended; `nil` while they speak.
    var turnEnded: MediaTime?
    /// `speechStopped` has been sent for this turn of the caller.
    var hasStopped = false
    /// The caller has said everything over the agent.
    var isCallerDone = false
    /// The calls of the tool that wait for an answer.
    var toolAnswers: [(due: MediaTime, id: String, name: String)] = []
    var toolIds: Set<String> = []
    var interrupted: MediaTime?
    var awaitedPong: Int?
    private var nextTick: MediaTime?
    /// Of the message that is being read.
    private(set) var decodedAudio = ByteBuffer()

    public init(_ plan: Plan) {
        self.plan = plan
        form = plan.audio.form
    }

    /// When ``deadlineReached(at:into:)`` wants to be called; `nil` when the check is over.
    public var deadline: MediaTime? { step == .over ? nil : nextTick }

    /// The socket is open.
    public mutating func open(at now: MediaTime, into output: inout Output) {
        (opened, stepBegan, nextTick) = (now, now, now + Self.tick)
        let start = AgentSocketStart(
            call: .init(
                id: "check", carrierId: "CA0", from: "+15550100009", to: "+15550100001", pipeline: "check-agent"),
            audio: plan.audio, variables: plan.variables, tools: [Self.tool])
        send(.start(start), into: &output)
        send(.callStarted, into: &output)
    }

    public mutating func receive(binary message: ByteBuffer, at now: MediaTime, into output: inout Output) {
        guard step != .over else { return }
        hear(message, at: now)
    }

    public mutating func receive(_ message: ByteBuffer, at now: MediaTime, into output: inout Output) {
        guard step != .over else { return }
        decodedAudio.clear()
        let decoded: AgentSocketServerMessage
        do throws(WireError) {
            decoded = try .decode(message, audio: &decodedAudio)
        } catch  where error.code == .tooLarge {
            find(.messageTooLong, "a message is too long: \(error)", at: now)
            return
        } catch {
            let beginning = String(decoding: message.readableBytesView.prefix(60), as: UTF8.self)
            find(.brokenMessage, "a message cannot be used: \(error). It begins: \(beginning)", at: now)
            return
        }
        act(on: decoded, at: now, into: &output)
    }

    /// The socket is gone.
    ///
    /// - Parameter code: 1006 when there was no closing handshake.
    public mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout Output) {
        guard step != .over else { return }
        let words = reason.isEmpty ? "" : " \"\(reason.prefix(120))\""
        if step == .ending {
            if ![1000, 1001, 1005].contains(code) {
                find(
                    .closedBadly, "at the end of the call the agent closed with \(code)\(words); 1000 is expected",
                    at: now)
            }
        } else if !report.findings.contains(where: { $0.code == .reportedError || $0.code == .hungUpEarly }) {
            find(.closedEarly, "the agent closed the socket with \(code)\(words) \(place)", at: now)
        }
        finish(at: now, into: &output)
    }

    /// Time has come to ``deadline``.
    public mutating func deadlineReached(at now: MediaTime, into output: inout Output) {
        while step != .over, let due = nextTick, due <= now {
            nextTick = due + Self.tick
            answerTools(at: due, into: &output)
            speak(into: &output)
            proceed(at: due, into: &output)
        }
    }

    // MARK: Parts

    /// Where in the conversation it stands, in words.
    var place: String {
        switch step {
        case .awaitingReady: "before it was ready"
        case .greeting: "at the beginning"
        case .asking, .awaitingAnswer: "while the caller asked"
        case .listening: "while it answered"
        case .interrupting: "when it was interrupted"
        case .curiosities: "after a key, a context, an unknown message and a ping, all of which it has to bear"
        case .ending, .over: "at the end"
        }
    }

    func send(_ message: AgentSocketClientMessage, into output: inout Output) {
        output.messages.text { message.write(into: &$0) }
    }

    mutating func enter(_ step: Step, at now: MediaTime) {
        self.step = step
        stepBegan = now
    }

    mutating func find(_ code: AgentFinding.Code, _ message: String, at now: MediaTime) {
        if let known = report.findings.firstIndex(where: { $0.code == code }) {
            report.findings[known].count += 1
        } else {
            report.findings.append(
                AgentFinding(
                    code: code, severity: code.severity, message: message, section: code.section, time: now - opened))
        }
    }

    mutating func finish(at now: MediaTime, into output: inout Output) {
        report.duration = now - opened
        if let ear {
            report.sound = ear.total
            judge(ear, at: now)
        }
        step = .over
        output.isComplete = true
    }

    /// One packet of the caller's sound, once the agent is ready for it.
    private mutating func speak(into output: inout Output) {
        guard let format = inputFormat, step != .ending else { return }
        let size = format.audioFormat.bytesPerPacket
        var packet = voice.readSlice(length: min(size, voice.readableBytes)) ?? ByteBuffer()
        packet.writeRepeatingByte(
            format.audioFormat.encoding.silenceByte, count: size - packet.readableBytes)
        switch form {
        case .binary: output.messages.binary { $0.writeImmutableBuffer(packet) }
        case .base64:
            output.messages.text { buffer in
                packet.withUnsafeReadableBytes { AgentSocketAudio.write($0, into: &buffer) }
            }
        }
    }

    private mutating func answerTools(at now: MediaTime, into output: inout Output) {
        while let next = toolAnswers.first, next.due <= now {
            toolAnswers.removeFirst()
            let isKnown = next.name == Self.tool.name
            send(
                .toolResult(
                    id: next.id, name: next.name,
                    output: isKnown ? #"{"meaning":"a colourful bird"}"# : "There is no such tool.", isError: !isKnown),
                into: &output)
            // The answer that was waited for may need the tool.
            if case .awaitingAnswer = step { turnEnded = now }
        }
    }
}

extension AgentCheck.Plan {
    /// Sets what is offered, from options as they were typed.
    ///
    /// - Parameter inputs: Names of formats, separated by commas; `nil` for the usual ones.
    /// - Throws: For what the protocol does not know.
    public mutating func offer(audio form: String, inputs: String?, outputs: String?) throws(SimulatorOptionFault) {
        guard let known = AgentSocketAudioForm(rawValue: form) else {
            throw SimulatorOptionFault(problems: ["--audio \(form.prefix(40)): possible are binary and base64"])
        }
        audio = AgentSocketAudioOffer(
            form: known, inputs: try Self.formats(inputs, "--input-formats"),
            outputs: try Self.formats(outputs, "--output-formats"))
    }

    /// Sets variables, each typed as `NAME=VALUE`.
    public mutating func set(_ pairs: [String]) throws(SimulatorOptionFault) {
        for pair in pairs {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw SimulatorOptionFault(problems: ["--variable \"\(pair.prefix(40))\" is no NAME=VALUE"])
            }
            variables[String(parts[0])] = .string(String(parts[1]))
        }
    }

    private static func formats(
        _ names: String?, _ option: String
    ) throws(SimulatorOptionFault) -> [AgentSocketFormat] {
        guard let names else { return AgentCheck.offered }
        var formats: [AgentSocketFormat] = []
        for name in names.split(separator: ",") {
            do throws(WireError) {
                formats.append(try AgentSocketFormat(String(name)))
            } catch {
                throw SimulatorOptionFault(problems: ["\(option): \(error.message)"])
            }
        }
        return formats.isEmpty ? AgentCheck.offered : formats
    }
}
