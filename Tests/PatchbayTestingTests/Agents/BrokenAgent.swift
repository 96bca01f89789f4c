import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting

// A vendor with a protocol of words, each message ended by a semicolon, and a backend for it that does everything right, or
// one thing wrong.

enum PlainWords {
    /// - Returns: The words of a message, the last one with everything that is left; `nil` for one that was cut off.
    static func words(of message: ByteBuffer, _ count: Int) -> [String]? {
        let text = String(buffer: message)
        guard text.hasSuffix(";") else { return nil }
        return text.dropLast().split(separator: " ", maxSplits: count - 1, omittingEmptySubsequences: false)
            .map(String.init)
    }

    static func base64(_ sound: ByteBuffer) -> String { Data(sound.readableBytesView).base64EncodedString() }

    static func sound(_ text: String) -> ByteBuffer? { Data(base64Encoded: text).map { ByteBuffer(bytes: $0) } }

    static func text(of turns: [ConversationTurn]) -> String {
        turns.map { "\($0.speaker.rawValue):\(base64(ByteBuffer(string: $0.text)))" }.joined(separator: ",")
    }

    static func turns(_ text: String) -> [ConversationTurn] {
        text.split(separator: ",").compactMap { turn in
            let parts = turn.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2, let speaker = TextFrame.Speaker(rawValue: parts[0]), let words = sound(parts[1])
            else { return nil }
            return ConversationTurn(speaker, String(buffer: words))
        }
    }
}

struct PlainPeer: AgentPeer {
    let formats = (input: AudioFormat.telephony, output: AudioFormat.pcm(16000))
    private var turn = 1
    private var hasBegun = false

    func opened() -> [AgentPeerMessage] { [] }

    mutating func received(_ message: AgentPeerMessage) -> (heard: [AgentPeerHeard], answers: [AgentPeerMessage]) {
        if message.isBinary { return ([.audio(message.payload)], []) }
        guard let words = PlainWords.words(of: message.payload, 4) else { return ([.wrong("a message was cut")], []) }
        func word(_ index: Int) -> String { index < words.count ? words[index] : "" }
        switch word(0) {
        case "begin":
            let isNew = !hasBegun
            hasBegun = true
            let tools = word(1).split(separator: ",").map(String.init)
            let heard: AgentPeerHeard = isNew ? .begun(tools: tools, history: PlainWords.turns(word(2))) : .resumed
            return ([heard], [AgentPeerMessage("ready;")])
        case "answer":
            let result = ToolResult(ToolCall(id: word(1), name: ""), output: word(3), isError: word(2) == "1")
            return ([.toolResult(result)], [])
        case "context": return ([.context(words.dropFirst().joined(separator: " "))], [])
        case "heard": return ([.heard(.milliseconds(Int64(word(1)) ?? -1))], [])
        case "speak": return ([.answerAsked], [])
        case "echo": return ([.other], [AgentPeerMessage("echo;")])
        default: return ([.wrong(word(0))], [])
        }
    }

    mutating func messages(for act: AgentPeerAct) -> [AgentPeerMessage]? {
        let text: String
        switch act {
        case .audio(let sound): text = "audio \(turn) \(PlainWords.base64(sound))"
        case .turnEnded:
            text = "end"
            turn += 1
        case .agentText(let words): text = "agent \(words)"
        case .callerText(let words, let isFinal): text = "\(isFinal ? "caller" : "maybe") \(words)"
        case .interruption:
            turn += 1
            text = "cut \(turn)"
        case .toolCall(let call): text = "tool \(call.id) \(call.name) \(call.arguments)"
        case .toolCallsCancelled(let ids): text = "cancel \(ids.joined(separator: ","))"
        case .goodbye: text = "bye"
        case .goAway: text = "away"
        }
        return [AgentPeerMessage(text + ";")]
    }

    static let failures = [
        AgentPeerFailure("no such agent", isBeforeReady: true, close: .init(code: 4004), code: .agentUnknown),
        AgentPeerFailure(
            "quota", messages: [AgentPeerMessage("error quota;")], close: .init(code: 4029), code: .agentQuota,
            isRetryable: true),
        AgentPeerFailure("a warning", messages: [AgentPeerMessage("error warning;")], code: nil),
    ]
}

struct PlainBackend: AgentBackend {
    enum Fault: String, CaseIterable, Sendable {
        case nothing
        case neverReady, wrongFormat, readyTwice, sendsNonsense, chatters, spins
        case losesCallersSound, changesCallersSound, losesSound, doublesSound, losesWords, finishesWords
        case isImpatient, neverGivesUp, givesUpForGood
        case diesOfGarbage, countsNothing, tellsAtLength
        case ignoresInterruptions, isDeafAfterACut, liesAboutHeard, playsLateSound
        case keepsToolsBack, changesArguments, losesCalls, losesAnswers, hidesErrors, ignoresCancellation
        case losesContext, forgetsHistory, forgetsTools, leavesTheCallerWaiting, alwaysSpeaksFirst
        case givesUpAtABreak, confusesCodes, diesOfWarnings, neverHangsUp, hangsUpEarly
        case ignoresNewSockets, isMuteOnNewSockets
        case remembersEverything, saysMoreAndMore, isRandom, talksAfterTheEnd
    }

    let type = "plain"
    let fault: Fault

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        AgentSession(
            PlainConversation(fault: fault, request: request), endpoint: .webSocket { AgentTarget(url: "ws://plain") })
    }
}

struct PlainConversation: AgentConversation {
    let fault: PlainBackend.Fault
    let request: AgentRequest
    private(set) var deadline: MediaTime?
    private var isReady = false
    private var isOver = false
    private var cut = 0
    private var turn = 0
    private var heard = 0
    private var isOnNewSocket = false
    private var memory: [String] = []

    init(fault: PlainBackend.Fault, request: AgentRequest) {
        self.fault = fault
        self.request = request
    }

    private func send(_ text: String, into output: inout AgentOutput) {
        output.messages.text { $0.writeString(text + ";") }
    }

    private mutating func fail(
        _ code: PipelineError.Code, _ words: String, retries: Bool, into output: inout AgentOutput
    ) {
        isOver = true
        deadline = nil
        output.emit(.failed(PipelineError(code, words, place: "agent plain", isRetryable: retries)))
    }

    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
        isOnNewSocket = isReady
        if isOnNewSocket, fault == .isMuteOnNewSockets { return }
        deadline = now + (fault == .isImpatient ? .seconds(3) : .seconds(20))
        let tools = fault == .keepsToolsBack ? "" : request.tools.map(\.name).joined(separator: ",")
        let history = fault == .forgetsHistory ? "" : PlainWords.text(of: request.history)
        send("begin \(tools) \(history)", into: &output)
        if fault != .forgetsTools, let note = request.toolUses.note {
            send("context \(note.replacing("\n", with: " ").replacing(";", with: ","))", into: &output)
        }
        if !isOnNewSocket, fault == .alwaysSpeaksFirst || request.isAnswerAwaited && fault != .leavesTheCallerWaiting {
            send("speak", into: &output)
        }
        if fault == .sendsNonsense { send("nonsense", into: &output) }
        if fault == .chatters { send("echo", into: &output) }
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver || fault == .talksAfterTheEnd else { return }
        switch frame {
        case .audio(let audio):
            if isOnNewSocket, fault == .isMuteOnNewSockets { return }
            heard += 1
            if fault == .losesCallersSound, heard % 50 == 0 { return }
            var sound = audio.payload
            if fault == .changesCallersSound { sound.setInteger(UInt8(0xFF), at: sound.readerIndex) }
            if fault == .isRandom { send("heard \(Int.random(in: 0...1_000_000))", into: &output) }
            output.messages.binary { $0.writeImmutableBuffer(sound) }
            if fault == .saysMoreAndMore { for _ in 0..<heard / 200 { send("heard 1", into: &output) } }
        case .interruption(let interruption):
            cut = turn + 1
            let span = interruption.heard?.duration.milliseconds ?? 0
            send("heard \(fault == .liesAboutHeard ? span + 400 : span)", into: &output)
            if fault == .isDeafAfterACut { cut = .max }
        default: break
        }
    }

    mutating func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput) {
        if fault != .losesContext, !isOver { send("context \(text)", into: &output) }
    }

    mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver, fault != .losesAnswers else { return }
        let isError = result.isError && fault != .hidesErrors
        send("answer \(result.id) \(isError ? 1 : 0) \(result.output)", into: &output)
    }

    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        if deadline != nil { deadline = now + .seconds(20) }
        guard let words = PlainWords.words(of: message, 4), let first = words.first, handle(first, words, into: &output)
        else {
            switch fault {
            case .diesOfGarbage: fail(.agentFailed, "garbage", retries: true, into: &output)
            case .countsNothing: break
            case .tellsAtLength: output.emit(.fault(String(repeating: "garbage ", count: 1000)))
            default: output.emit(.fault("a message that cannot be read"))
            }
            return
        }
        if fault == .remembersEverything { memory.append(String(buffer: message)) }
    }

    private mutating func handle(_ first: String, _ words: [String], into output: inout AgentOutput) -> Bool {
        let rest = words.dropFirst().joined(separator: " ")
        switch first {
        case "ready":
            guard fault != .neverReady, !isReady || isOnNewSocket || fault == .readyTwice else { return true }
            isReady = true
            let format = AudioFormat.pcm(fault == .wrongFormat ? 8000 : 16000)
            output.emit(.ready(input: .telephony, output: format))
            if fault == .readyTwice { output.emit(.ready(input: .telephony, output: format)) }
        case "audio":
            guard words.count == 3, let number = Int(words[1]), var sound = PlainWords.sound(words[2]) else {
                return false
            }
            if fault != .playsLateSound || cut == .max { guard number >= cut else { return true } }
            turn = max(turn, number)
            if fault == .losesSound, sound.readableBytes > 500 { _ = sound.readSlice(length: 2) }
            output.emit(.audio(sound))
            if fault == .doublesSound { output.emit(.audio(sound)) }
        case "end": output.emit(.turnEnded)
        case "agent": if fault != .losesWords { output.emit(.text(TextFrame(rest, speaker: .agent))) }
        case "caller": output.emit(.text(TextFrame(rest, speaker: .caller)))
        case "maybe": output.emit(.text(TextFrame(rest, speaker: .caller, isFinal: fault == .finishesWords)))
        case "cut":
            guard let number = Int(rest) else { return false }
            cut = number
            if fault != .ignoresInterruptions { output.emit(.interruption(cause: "the agent heard the caller")) }
        case "tool":
            guard words.count == 4 else { return false }
            if fault == .losesCalls { return true }
            let arguments = fault == .changesArguments ? words[3].replacing("1", with: "2") : words[3]
            output.emit(.toolCall(ToolCall(id: words[1], name: words[2], arguments: arguments)))
        case "cancel":
            let ids = rest.split(separator: ",").map(String.init)
            if fault != .ignoresCancellation { output.emit(.toolCallsCancelled(ids: ids)) }
        case "bye":
            if fault == .hangsUpEarly { output.emit(.interruption(cause: "goodbye")) }
            if fault != .neverHangsUp { hangUp(into: &output) }
        case "away": if fault != .ignoresNewSockets { output.emit(.reconnect(cause: "told to")) }
        case "error":
            output.emit(.fault(rest))
            if rest == "warning", fault == .diesOfWarnings {
                fail(.agentFailed, "a warning", retries: true, into: &output)
            }
        case "echo": if fault == .chatters { send("echo", into: &output) }
        default: return false
        }
        return true
    }

    private mutating func hangUp(into output: inout AgentOutput) {
        isOver = true
        deadline = nil
        output.emit(.hangup(EndReason(.agentHungUp, "bye")))
    }

    mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        switch code {
        case 1000:
            if fault != .neverHangsUp { hangUp(into: &output) }
        case 4004:
            fail(fault == .confusesCodes ? .agentFailed : .agentUnknown, "no agent", retries: false, into: &output)
        case 4029: fail(.agentQuota, "quota", retries: true, into: &output)
        default: fail(.agentFailed, "broken", retries: fault != .givesUpAtABreak, into: &output)
        }
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {
        if fault == .spins { return }
        deadline = nil
        if fault == .neverGivesUp || isOver { return }
        fail(.agentTimeout, "silence", retries: fault != .givesUpForGood, into: &output)
    }
}
