import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

// The caller's turns: where they end, what was said, and what the script answers.
extension GeminiConversationSimulator {
    /// How much of the results of tools is spoken.
    private static let maximumSpokenResult = 300

    private var isAutomatic: Bool { if case .automatic = setup.turnDetection { true } else { false } }

    // MARK: Spoken

    mutating func hear(_ audio: ByteBuffer, sampleRate: Int, at now: MediaTime, into output: inout Output) {
        guard isAutomatic else { return }
        var ear = ear ?? makeEar(sampleRate)
        let edges = ear.hear(audio)
        self.ear = ear
        for edge in edges {
            switch edge {
            case .speechStarted: speechStarted(at: now, into: &output)
            case .speechStopped: speechStopped(at: now, into: &output)
            }
        }
    }

    private func makeEar(_ sampleRate: Int) -> SimulatorEar {
        var silence = Int(model.timing.silence.milliseconds)
        if case .automatic(let rules) = setup.turnDetection, let asked = rules.silenceMs { silence = max(20, asked) }
        return SimulatorEar(format: .pcm(sampleRate), endOfTurnSilence: silence)
    }

    /// The client sends no more sound for now: whatever was being said is over.
    mutating func audioPaused(at now: MediaTime, into output: inout Output) {
        guard isAutomatic else {
            end(1007, "audioStreamEnd needs automatic activity detection", into: &output)
            return
        }
        let wasSpeaking = ear?.isHearingSpeech ?? false
        ear?.reset()
        if wasSpeaking { speechStopped(at: now, into: &output) }
    }

    mutating func marked(_ isStart: Bool, at now: MediaTime, into output: inout Output) {
        guard !isAutomatic else {
            end(
                1007, "Explicit activity control is not supported when automatic activity detection is enabled.",
                into: &output)
            return
        }
        guard isStart != isActivityOpen else { return }
        isActivityOpen = isStart
        if isStart {
            speechStarted(at: now, into: &output)
        } else {
            speechStopped(at: now, into: &output)
        }
    }

    private mutating func speechStarted(at now: MediaTime, into output: inout Output) {
        interrupt(at: now, into: &output)
        let transcripts = model.script.transcripts
        transcript = transcripts.isEmpty ? [] : transcripts[progress.userTurns % transcripts.count].fragments
        tellWords(2, into: &output)
    }

    private mutating func speechStopped(at now: MediaTime, into output: inout Output) {
        tellWords(transcript.count, into: &output)
        if phase == .listening { think(at: now) }
    }

    private mutating func tellWords(_ count: Int, into output: inout Output) {
        guard setup.transcribesInput, !transcript.isEmpty, count > 0 else { return }
        let words = transcript.prefix(count).joined()
        transcript.removeFirst(min(count, transcript.count))
        sendContent(into: &output) { $0.inputTranscription = .init(words) }
    }

    // MARK: Written

    /// Words in writing interrupt, whether or not they are to be answered.
    mutating func userWrote(_ text: String, wantsAnswer: Bool, at now: MediaTime, into output: inout Output) {
        interrupt(at: now, into: &output)
        guard wantsAnswer, phase == .listening else { return }
        think(at: now, isGreeting: !progress.hasGreeted && progress.userTurns == 0)
    }

    // MARK: The answer

    private mutating func think(at now: MediaTime, isGreeting: Bool = false) {
        phase = .thinking
        if isGreeting {
            progress.hasGreeted = true
        } else {
            progress.userTurns += 1
            statistics.userTurns += 1
        }
        isGreetingDue = isGreeting
        timers[.update] = nil
        timers[.thinking] = now + model.timing.thinking
    }

    mutating func takeTurn(at now: MediaTime, into output: inout Output) {
        let script = model.script
        if isGreetingDue {
            say(script.greeting, at: now, into: &output)
            return
        }
        let tools = script.tools.filter { $0.afterTurn == progress.userTurns }
        guard tools.isEmpty else {
            call(tools, at: now, into: &output)
            return
        }
        phase = .listening
        guard !script.replies.isEmpty else { return }
        let reply = script.replies[progress.nextReply % script.replies.count]
        progress.nextReply = progress.nextReply % script.replies.count + 1
        say(reply, at: now, into: &output)
    }

    // MARK: Tools

    private mutating func call(_ tools: [SimulatedAgentScript.Tool], at now: MediaTime, into output: inout Output) {
        withdrawHandle(into: &output)
        phase = .awaitingTools
        let calls = tools.map { tool in
            lastCall += 1
            let id = "function-call-\(statistics.sessionId)-\(lastCall)"
            outstandingTools[id] = tool.name
            return GeminiServerMessage.FunctionCall(id: id, name: tool.name, arguments: tool.parameters)
        }
        send(into: &output) { $0.functionCalls = calls }
    }

    /// Results that belong to no call are ignored.
    mutating func toolsAnswered(
        _ responses: [GeminiClientMessage.FunctionResponse], at now: MediaTime, into output: inout Output
    ) {
        guard phase == .awaitingTools else { return }
        for response in responses {
            guard let id = response.id, outstandingTools.removeValue(forKey: id) != nil else { continue }
            let object = try? JSONSerialization.jsonObject(with: Data(response.response.utf8)) as? [String: Any]
            if let failure = object?["error"] {
                hasToolFailed = true
                toolResults.append("\(failure)")
            } else {
                toolResults.append(object?["output"].map { "\($0)" } ?? response.response)
            }
        }
        guard outstandingTools.isEmpty else { return }
        let template = hasToolFailed ? model.script.toolFailureReply : model.script.toolReply
        let results = String(toolResults.joined(separator: ", ").prefix(Self.maximumSpokenResult))
        toolResults = []
        hasToolFailed = false
        say(template.replacing(SimulatedAgentScript.resultPlaceholder, with: results), at: now, into: &output)
    }

    /// The caller goes on: the answers are not wanted any more.
    mutating func cancelTools(at now: MediaTime, into output: inout Output) {
        let ids = outstandingTools.keys.sorted()
        outstandingTools = [:]
        toolResults = []
        hasToolFailed = false
        phase = .listening
        send(into: &output) { $0.cancelledCalls = ids }
        timers[.update] = now + model.timing.resumptionUpdate
    }
}
