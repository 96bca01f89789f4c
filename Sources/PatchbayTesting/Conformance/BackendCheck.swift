import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore

/// The rules of ``AgentConformance``.
struct BackendCheck {
    /// How long everything may take that a vendor answers at once.
    static let promptly: Int64 = 500

    let options: AgentConformance.Options
    let failures: [AgentPeerFailure]
    let makePeer: () -> any AgentPeer
    let makeBackend: () throws(PipelineError) -> any AgentBackend
    var findings: ConformanceFindings

    init(
        _ options: AgentConformance.Options, failures: [AgentPeerFailure], makePeer: @escaping () -> any AgentPeer,
        makeBackend: @escaping () throws(PipelineError) -> any AgentBackend
    ) {
        self.options = options
        self.failures = failures
        self.makePeer = makePeer
        self.makeBackend = makeBackend
        findings = ConformanceFindings(exempt: options.exempt)
    }

    mutating func all() {
        guard becomesReady() else { return }
        examine(.agentHears) { $0.hearsTheCaller() }
        examine(.agentSpeaks) { $0.givesTheAgentsSound() }
        examine(.agentText) { $0.givesTheWords() }
        examine(.slowStart) { $0.waitsForASlowStart() }
        examine(.stall) { $0.givesUpAStalledAgent() }
        examine(.agentMalformed) { $0.survivesTheMalformed() }
        examine(.agentInterruption) { $0.stopsWhenTheAgentDoes() }
        examine(.ownInterruption) { $0.stopsWhenTold() }
        examine(.lateSound) { $0.dropsLateSound() }
        examine(.toolDeclaration) { $0.declaresTools() }
        examine(.tools) { $0.callsTools() }
        examine(.toolErrors) { $0.tellsFailedTools() }
        examine(.toolCancellation) { $0.cancelsTools() }
        examine(.context) { $0.addsContext() }
        examine(.history) { $0.handsTheHistoryOver() }
        examine(.toolUses) { $0.tellsOfToolsUsed() }
        examine(.awaitedAnswer) { $0.asksForAnAwaitedAnswer() }
        examine(.brokenConnection) { $0.tellsABrokenConnection() }
        examine(.documentedFailures) { $0.tellsDocumentedFailures() }
        examine(.goodbye) { $0.saysGoodbye() }
        examine(.reconnection) { $0.goesOnOverANewSocket() }
        examine(.noGrowth) { $0.doesNotGrow() }
        examine(.determinism) { $0.isDeterministic() }
        examine(.silentAfterEnd) { $0.isSilentAfterTheEnd() }
    }

    private mutating func examine(_ rule: ConformanceFailure.Rule, _ body: (inout Self) -> Void) {
        guard !options.exempt.contains(rule), options.only?.contains(rule) ?? true else { return }
        body(&self)
    }

    // MARK: Runs

    /// A call about to begin; `nil` when no backend can be made.
    mutating func run(
        _ format: AudioFormat, history: [ConversationTurn] = [], isAnswerAwaited: Bool = false,
        toolUses: [ToolUse] = [], peer: (any AgentPeer)? = nil
    ) -> AgentRun? {
        do {
            let backend = ExaminedBackend(
                inner: try makeBackend(), history: history, isAnswerAwaited: isAnswerAwaited, toolUses: toolUses,
                witness: AgentWitness())
            return try AgentRun(
                backend, peer: peer ?? makePeer(), format: format, tools: options.tools, seed: options.seed)
        } catch {
            findings.add(.makes, "no conversation could be begun: \(error)")
            return nil
        }
    }

    /// A call whose agent is ready; `nil` when it does not become so.
    mutating func readyRun(
        _ format: AudioFormat? = nil, history: [ConversationTurn] = [], isAnswerAwaited: Bool = false,
        toolUses: [ToolUse] = []
    ) -> AgentRun? {
        guard
            var run = run(
                format ?? inputFormat, history: history, isAnswerAwaited: isAnswerAwaited, toolUses: toolUses)
        else { return nil }
        run.start()
        run.pass(Self.promptly)
        guard run.isReady else {
            findings.add(
                .agentReady, "it is not ready \(Self.promptly) ms after the vendor has begun: \(story(of: run))")
            return nil
        }
        return run
    }

    var inputFormat: AudioFormat { makePeer().formats.input }
    var outputFormat: AudioFormat { makePeer().formats.output }

    /// What every run has to keep to, whatever it examines.
    mutating func close(_ run: AgentRun, _ context: String) {
        for case .wrong(let what) in run.heard {
            findings.add(.agentReady, "\(context): the vendor would refuse a message: \(what)")
        }
        findings.expect(
            !run.isChattering, .agentReady, "\(context): it and the vendor answer each other without end")
        if let due = run.witness.current.lateDeadlines.first {
            findings.add(
                .deadline, "\(context): after deadlineReached its deadline is \(due.milliseconds) ms, which has passed")
        }
    }

    /// Why a call is where it is, for findings.
    func story(of run: AgentRun) -> String {
        if let failure = run.failure { return "it failed: \(failure)" }
        if let end = run.end { return "the call ended: \(end)" }
        let events = run.witness.current.events.suffix(4).map { text(of: $0.event) }
        return events.isEmpty ? "it reported nothing" : "it reported \(events.joined(separator: ", "))"
    }

    func text(of event: AgentEvent) -> String {
        if case .audio(let sound) = event {
            return exactText(of: .audio(AudioFrame(sound, format: outputFormat)))
        }
        return "\(event)"
    }

    /// Nothing has ended or failed.
    mutating func expectGoingOn(_ run: AgentRun, _ rule: ConformanceFailure.Rule, _ context: String) {
        findings.expect(
            run.failure == nil && run.end == nil, rule, "\(context): the conversation does not go on: \(story(of: run))"
        )
    }

    /// The agent says something, and all of it is heard.
    mutating func expectSpeech(_ run: inout AgentRun, _ rule: ConformanceFailure.Rule, _ context: String) {
        run.forgetPlayed()
        let sound = run.sound(milliseconds: 300, outputFormat)
        guard run.act(.audio(ByteBuffer(bytes: sound))) else { return }
        run.act(.turnEnded)
        run.pass(1000)
        expect(run.played, toBe: sound, rule, "\(context): 300 ms of the agent's sound")
    }

    /// Sound as it was played: whole, in order, then nothing but the silence that fills a packet.
    mutating func expect(
        _ played: [UInt8], toBe sound: [UInt8], _ rule: ConformanceFailure.Rule, _ context: String
    ) {
        let silence = outputFormat.encoding.silenceByte
        guard played.count >= sound.count else {
            findings.add(rule, "\(context): of \(sound.count) bytes \(played.count) came out")
            return
        }
        if let place = sound.indices.first(where: { played[$0] != sound[$0] }) {
            findings.add(rule, "\(context): byte \(place) of \(sound.count) is another one")
        } else {
            findings.expect(
                played.dropFirst(sound.count).allSatisfy { $0 == silence }, rule,
                "\(context): more came out than the vendor sent, \(played.count - sound.count) bytes")
        }
    }

    // MARK: Beginning and sound

    private mutating func becomesReady() -> Bool {
        guard var run = readyRun() else { return false }
        let witness = run.witness.current
        let ready = witness.events.compactMap { note -> (AudioFormat, AudioFormat)? in
            if case .ready(let input, let output) = note.event { (input, output) } else { nil }
        }
        let formats = run.peer.formats
        if let (input, output) = ready.first {
            findings.expect(
                input.hasSamples(like: formats.input) && output.hasSamples(like: formats.output), .agentReady,
                "it is ready with \(input) and \(output), the vendor takes \(formats.input) and gives "
                    + "\(formats.output)")
        }
        run.pass(1000)
        findings.expect(
            run.witness.current.readies == 1, .agentReady,
            "it reported \(run.witness.current.readies) times that it is ready")
        expectGoingOn(run, .agentReady, "a second after it became ready")
        close(run, "the beginning")
        return true
    }

    private mutating func hearsTheCaller() {
        guard var run = run(inputFormat) else { return }
        run.connectsAtOnce = false
        run.start()
        run.pass(1000)
        run.isHolding = true
        run.connect()
        run.pass(500)
        run.release()
        run.pass(1500)
        let heard = run.heardSound
        let late = inputFormat.byteCount(milliseconds: 100)
        findings.expect(
            heard.count + late >= run.spoken.count, .agentHears,
            "of \(run.spoken.count) bytes that the caller said, \(heard.count) reached the vendor")
        if let place = zip(heard, run.spoken).enumerated().first(where: { $0.element.0 != $0.element.1 })?.offset {
            findings.add(.agentHears, "byte \(place) of what the vendor heard is not what the caller said")
        } else {
            findings.expect(
                heard.count <= run.spoken.count, .agentHears, "the vendor heard more than the caller said")
        }
        close(run, "the caller's sound")
    }

    private mutating func givesTheAgentsSound() {
        guard var run = readyRun(outputFormat) else { return }
        let sound = run.sound(milliseconds: 2000, outputFormat)
        var random = SeededGenerator(seed: options.seed)
        var rest = sound[...]
        var sizes = [1, 3, 160, 7, 641]
        while !rest.isEmpty {
            let size = sizes.isEmpty ? Int.random(in: 1...4000, using: &random) : sizes.removeFirst()
            guard run.act(.audio(ByteBuffer(bytes: rest.prefix(size)))) else { return }
            rest = rest.dropFirst(size)
        }
        run.act(.turnEnded)
        run.pass(3000)
        expect(run.played, toBe: sound, .agentSpeaks, "2 s of the agent's sound in odd pieces")
        close(run, "the agent's sound")

        guard var second = readyRun(outputFormat) else { return }
        second.isCallerSpeaking = false
        let huge = [UInt8](repeating: 0x2A, count: 1 << 20)
        guard second.act(.audio(ByteBuffer(bytes: huge))) else { return }
        second.pass(500)
        let count = second.played.count + second.call.waitingAgentBytes
        findings.expect(
            count == huge.count, .agentSpeaks, "of one message with 1 MiB of sound, \(count) bytes came out")
        expectGoingOn(second, .agentSpeaks, "after one message with 1 MiB of sound")
    }

    private mutating func givesTheWords() {
        guard var run = readyRun() else { return }
        let acts: [(AgentPeerAct, TextFrame)] = [
            (.callerText("where is", isFinal: false), TextFrame("where is", speaker: .caller, isFinal: false)),
            (
                .callerText("Where is my \"order\"? Grüße", isFinal: true),
                TextFrame("Where is my \"order\"? Grüße", speaker: .caller)
            ),
            (
                .agentText("It is on its way.\nTomorrow 🚚"),
                TextFrame("It is on its way.\nTomorrow 🚚", speaker: .agent)
            ),
        ]
        for (act, expected) in acts {
            run.witness.forgetEvents()
            guard run.act(act) else { continue }
            if expected.speaker == .agent { run.act(.turnEnded) }
            run.pass(100)
            // An unfinished text is all of it so far; finished ones follow each other.
            var finished = ""
            var unfinished: String?
            for case .text(let text) in run.witness.current.events.map(\.event) where text.speaker == expected.speaker {
                if text.isFinal { finished += text.text }
                unfinished = text.isFinal ? nil : text.text
            }
            let words = finished + (unfinished ?? "")
            let isFinal = unfinished == nil && !finished.isEmpty
            let isSame =
                words.trimmingCharacters(in: .whitespacesAndNewlines) == expected.text && isFinal == expected.isFinal
            findings.expect(
                isSame, .agentText,
                "the vendor sent \"\(expected.text)\" of the \(expected.speaker), "
                    + "\(expected.isFinal ? "" : "not ")final; "
                    + "\"\(words)\" was given, \(isFinal ? "" : "not ")final")
        }
        expectGoingOn(run, .agentText, "after words of both sides")
        close(run, "words")
    }

    private mutating func waitsForASlowStart() {
        guard var run = run(inputFormat) else { return }
        run.isHolding = true
        run.start()
        run.pass(4000)
        expectGoingOn(run, .slowStart, "the vendor has said nothing for 4 s")
        run.release()
        run.pass(Self.promptly)
        findings.expect(run.isReady, .slowStart, "the vendor began after 4 s: \(story(of: run))")
        let early = inputFormat.byteCount(milliseconds: 3800)
        findings.expect(
            run.heardSound.starts(with: run.spoken.prefix(early)), .slowStart,
            "what the caller said in the 4 s before did not reach the vendor")
        close(run, "a slow start")
    }

    private mutating func givesUpAStalledAgent() {
        guard var run = readyRun() else { return }
        run.act(.audio(ByteBuffer(bytes: run.sound(milliseconds: 100, outputFormat))))
        run.isMute = true
        run.connectsAtOnce = false
        run.pass(options.patience.milliseconds) { $0.failure != nil }
        close(run, "a stall")
        guard let failure = run.failure else {
            findings.add(
                .stall, "the vendor has said nothing for \(options.patience.seconds) s, and was not given up")
            return
        }
        findings.expect(
            failure.code == .agentTimeout && failure.isRetryable, .stall,
            "an agent that stalls is \(PipelineError.Code.agentTimeout) and worth another try; it was told as "
                + "\(failure)"
                + (failure.isRetryable ? "" : ", not worth another try"))
    }
}
