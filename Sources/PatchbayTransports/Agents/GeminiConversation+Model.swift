import PatchbayAudio
import PatchbayCore
import PatchbayWire

// What the model says and does, in the order in which the parts of one message have to be handled.
extension GeminiConversation {
    mutating func received(
        _ content: GeminiServerMessage.Content, at now: MediaTime, into output: inout AgentOutput
    ) {
        if content.isInterrupted { interrupted(into: &output) }
        if content.audioByteCount > 0 { spoke(content, at: now, into: &output) }
        if let words = content.interimInputTranscription, !words.text.isEmpty {
            output.emit(.text(TextFrame(callerWords + words.text, speaker: .caller, isFinal: false)))
        }
        if let fragment = content.inputTranscription { callerSaid(fragment, at: now, into: &output) }
        if let fragment = content.outputTranscription, !fragment.text.isEmpty { said(fragment, at: now, into: &output) }
        if content.isGenerationComplete { generationEnded(into: &output) }
        if content.isTurnComplete { turnEnded(at: now, into: &output) }
    }

    private mutating func interrupted(into output: inout AgentOutput) {
        answerDue = nil
        agentWords = ""
        if turn != .none { turn = .interrupted }
        isCut = false
        guard hasSpoken else { return }
        hasSpoken = false
        output.emit(.interruption(cause: "the agent heard the caller"))
    }

    private mutating func spoke(
        _ content: GeminiServerMessage.Content, at now: MediaTime, into output: inout AgentOutput
    ) {
        turnGoesOn(at: now, into: &output)
        // Sound before the formats are known could only be noise.
        guard !isCut, phase == .ready || phase == .reconnecting else { return }
        if content.sampleRate != outputRate {
            guard Self.outputRates.contains(content.sampleRate) else {
                output.emit(.fault("sound at \(content.sampleRate) Hz, which is not understood"))
                return
            }
            outputRate = content.sampleRate
            output.emit(.ready(input: Self.inputFormat, output: .pcm(outputRate)))
        }
        hasSpoken = true
        output.emit(.audio(audio))
    }

    /// Something of a turn has come.
    private mutating func turnGoesOn(at now: MediaTime, into output: inout AgentOutput) {
        if turn == .none || turn == .interrupted {
            turn = .generating
            resumption.isCurrent = false
            endCallerText(into: &output)
        }
        if turn == .generating { answerIsDue(at: now) }
    }

    private mutating func said(
        _ fragment: GeminiServerMessage.Transcription, at now: MediaTime, into output: inout AgentOutput
    ) {
        guard !isCut, turn != .interrupted else { return }
        if turn == .none {
            // Ahead of the sound it belongs to, or behind it.
            endCallerText(into: &output)
            textDue = now + Self.transcriptPause
        }
        agentWords += fragment.text
        if agentWords.utf8.count > Self.wordsLimit {
            endAgentText(into: &output)
        } else {
            output.emit(.text(TextFrame(agentWords, speaker: .agent, isFinal: false)))
        }
    }

    private mutating func callerSaid(
        _ fragment: GeminiServerMessage.Transcription, at now: MediaTime, into output: inout AgentOutput
    ) {
        callerWords += fragment.text
        if callerWords.utf8.count > Self.wordsLimit || fragment.isFinished {
            endCallerText(into: &output)
        } else if !callerWords.isEmpty {
            textDue = now + Self.transcriptPause
            output.emit(.text(TextFrame(callerWords, speaker: .caller, isFinal: false)))
        }
        if turn == .none, pendingCalls.isEmpty { answerIsDue(at: now) }
    }

    mutating func endCallerText(into output: inout AgentOutput) {
        let words = callerWords
        callerWords = ""
        guard words.contains(where: { !$0.isWhitespace }) else { return }
        output.emit(.text(TextFrame(words, speaker: .caller)))
    }

    mutating func endAgentText(into output: inout AgentOutput) {
        let words = agentWords
        agentWords = ""
        guard words.contains(where: { !$0.isWhitespace }) else { return }
        output.emit(.text(TextFrame(words, speaker: .agent)))
    }

    private mutating func generationEnded(into output: inout AgentOutput) {
        guard turn == .generating else { return }
        turn = .generated
        answerDue = nil
        guard !isCut else { return }
        endAgentText(into: &output)
        output.emit(.turnEnded)
    }

    private mutating func turnEnded(at now: MediaTime, into output: inout AgentOutput) {
        generationEnded(into: &output)
        if turn != .none { resumption.hasServed = true }
        turn = .none
        isCut = false
        answerDue = nil
        endAgentText(into: &output)
        sendNotes(at: now, into: &output)
    }

    mutating func called(_ call: GeminiServerMessage.FunctionCall, into output: inout AgentOutput) {
        var id = call.id ?? ""
        if id.isEmpty {
            unnamedCalls += 1
            id = "\(Self.unnamed)\(unnamedCalls)"
        }
        guard phase == .ready, pendingCalls.count < Self.callLimit, !pendingCalls.contains(id) else {
            output.emit(.fault("a call of the function \"\(call.name)\" too many, or at the wrong time"))
            return
        }
        endCallerText(into: &output)
        answerDue = nil
        resumption.isCurrent = false
        pendingCalls.insert(id)
        output.emit(.toolCall(ToolCall(id: id, name: call.name, arguments: call.arguments)))
    }

    mutating func cancelled(_ ids: [String], into output: inout AgentOutput) {
        let known = ids.filter { pendingCalls.remove($0) != nil }
        if !known.isEmpty { output.emit(.toolCallsCancelled(ids: known)) }
    }

    /// The beginning of ids for calls that came without one.
    static let unnamed = "unnamed-"
    /// Calls that may wait for their answers.
    private static let callLimit = 32
}
