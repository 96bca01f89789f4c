import NIOCore
import PatchbayAudio
import PatchbayCore

/// The script agent's side of one call.
///
/// Hears pauses by the speech edges of the pipeline's own VAD, or by one of its own where the pipeline has none.
struct ScriptConversation: AgentConversation {
    private let script: Script
    private let input: AudioFormat
    private var vad = EnergyVAD()
    private var samples: [Int16] = []
    private var usesPipelineEdges = false
    private var nextReply = 0
    private var hasStarted = false
    private var hasSaidGoodbye = false
    /// When what has been said will have been heard, at the earliest.
    private var speakingUntil = MediaTime.zero
    private var lengthBeforeStart = TimeSpan.zero
    private(set) var deadline: MediaTime?

    init(_ script: Script, inputRate: Int) {
        self.script = script
        input = .pcm(inputRate)
    }

    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
        output.emit(.ready(input: input, output: SpokenText.format))
        say(script.greeting, at: now, into: &output)
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
        switch frame {
        case .callStarted:
            hasStarted = true
            speakingUntil = now + lengthBeforeStart
            waitForSilence(from: now)
        case .audio(let audio):
            guard !usesPipelineEdges else { return }
            let edge = audio.payload.withUnsafeSamples(copyingInto: &samples) {
                vad.process($0, sampleRate: audio.format.sampleRate)
            }
            switch edge {
            case .speechStarted: speechStarted(at: now, into: &output)
            case .speechStopped: speechStopped(at: now, into: &output)
            case nil: break
            }
        case .speechStarted:
            usesPipelineEdges = true
            speechStarted(at: now, into: &output)
        case .speechStopped:
            usesPipelineEdges = true
            speechStopped(at: now, into: &output)
        case .dtmf(let digit):
            interruptIfSpeaking("the caller pressed \(digit)", at: now, into: &output)
            if let answer = script.keys[digit] {
                say(answer, at: now, into: &output)
            } else if digit == script.goodbyeKey {
                sayGoodbye(at: now, into: &output)
            }
        case .userTurnStarted:
            usesPipelineEdges = true
            deadline = nil
        case .userTurnEnded(.silence), .userTurnEnded(.agent):
            usesPipelineEdges = true
            speechStopped(at: now, into: &output)
        case .interruption:
            // A stage that takes turns has cut what was being said.
            speakingUntil = now
        default:
            break
        }
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {
        deadline = nil
        sayGoodbye(at: now, into: &output)
    }

    private mutating func speechStarted(at now: MediaTime, into output: inout AgentOutput) {
        deadline = nil
        interruptIfSpeaking("the caller spoke", at: now, into: &output)
    }

    private mutating func speechStopped(at now: MediaTime, into output: inout AgentOutput) {
        if nextReply < script.replies.count {
            nextReply += 1
            say(script.replies[nextReply - 1], at: now, into: &output)
        } else {
            sayGoodbye(at: now, into: &output)
        }
    }

    private mutating func interruptIfSpeaking(_ cause: String, at now: MediaTime, into output: inout AgentOutput) {
        guard hasStarted, !hasSaidGoodbye, now < speakingUntil else { return }
        output.emit(.interruption(cause: cause))
        speakingUntil = now
    }

    private mutating func sayGoodbye(at now: MediaTime, into output: inout AgentOutput) {
        guard !hasSaidGoodbye else { return }
        if let goodbye = script.goodbye { say(goodbye, at: now, into: &output) }
        hasSaidGoodbye = true
        deadline = nil
        output.emit(.hangup(EndReason(.agentHungUp, "the script is over")))
    }

    private mutating func say(_ spoken: SpokenText, at now: MediaTime, into output: inout AgentOutput) {
        guard !hasSaidGoodbye else { return }
        output.emit(.text(TextFrame(spoken.text, speaker: .agent)))
        output.emit(.audio(spoken.audio))
        output.emit(.turnEnded)
        let length = TimeSpan(nanoseconds: SpokenText.format.nanoseconds(byteCount: spoken.audio.readableBytes))
        if hasStarted {
            speakingUntil = max(speakingUntil, now) + length
            waitForSilence(from: now)
        } else {
            lengthBeforeStart = lengthBeforeStart + length
        }
    }

    private mutating func waitForSilence(from now: MediaTime) {
        deadline = max(now, speakingUntil) + script.silence
    }
}
