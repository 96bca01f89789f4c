import NIOCore
import PatchbayAudio
import PatchbayCore

/// The script agent's side of one call.
///
/// Hears pauses by the speech edges of the pipeline's own VAD, or by one of its own where the pipeline has none. Whether it can
/// be heard itself it learns from the call, which knows of announcements before it and of pauses.
struct ScriptConversation: AgentConversation {
    private let script: Script
    private let input: AudioFormat
    private var vad = EnergyVAD()
    private var samples: [Int16] = []
    private let hearsForItself: Bool
    private var nextReply = 0
    private var hasStarted = false
    private var hasSaidGoodbye = false
    /// Whether something has been said that has not been heard to its end.
    private var isSpeaking = false
    private var isCallerSpeaking = false
    private var lengthBeforeStart = TimeSpan.zero
    private(set) var deadline: MediaTime?

    /// - Parameter hearsForItself: Whether no stage of the pipeline marks the caller's speech.
    init(_ script: Script, inputRate: Int, hearsForItself: Bool = true) {
        self.script = script
        self.hearsForItself = hearsForItself
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
            deadline = now + lengthBeforeStart + script.silence
        case .audio(let audio):
            guard hearsForItself else { return }
            let edge = audio.payload.withUnsafeSamples(copyingInto: &samples) {
                vad.process($0, sampleRate: audio.format.sampleRate)
            }
            switch edge {
            case .speechStarted: speechStarted(at: now, into: &output)
            case .speechStopped: speechStopped(at: now, into: &output)
            case nil: break
            }
        case .speechStarted:
            speechStarted(at: now, into: &output)
        case .speechStopped:
            speechStopped(at: now, into: &output)
        case .dtmf(let digit):
            interruptIfSpeaking("the caller pressed \(digit)", at: now, into: &output)
            if let answer = script.keys[digit] {
                say(answer, at: now, into: &output)
            } else if digit == script.goodbyeKey {
                sayGoodbye(at: now, into: &output)
            }
        case .userTurnStarted:
            isCallerSpeaking = true
            deadline = nil
        case .userTurnEnded:
            speechStopped(at: now, into: &output)
        case .agentStartedSpeaking:
            isSpeaking = true
            deadline = nil
        case .agentStoppedSpeaking:
            isSpeaking = false
            waitForSilence(from: now)
        case .interruption:
            // A stage that takes turns has cut what was being said.
            isSpeaking = false
            waitForSilence(from: now)
        default:
            break
        }
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {
        deadline = nil
        sayGoodbye(at: now, into: &output)
    }

    private mutating func speechStarted(at now: MediaTime, into output: inout AgentOutput) {
        isCallerSpeaking = true
        deadline = nil
        interruptIfSpeaking("the caller spoke", at: now, into: &output)
    }

    private mutating func speechStopped(at now: MediaTime, into output: inout AgentOutput) {
        isCallerSpeaking = false
        if nextReply < script.replies.count {
            nextReply += 1
            say(script.replies[nextReply - 1], at: now, into: &output)
        } else {
            sayGoodbye(at: now, into: &output)
        }
    }

    private mutating func interruptIfSpeaking(_ cause: String, at now: MediaTime, into output: inout AgentOutput) {
        guard hasStarted, !hasSaidGoodbye, isSpeaking else { return }
        output.emit(.interruption(cause: cause))
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
        isSpeaking = true
        // Until the call tells when it begins and ends, or for good if there is nothing to hear in it.
        let length = TimeSpan(nanoseconds: SpokenText.format.nanoseconds(byteCount: spoken.audio.readableBytes))
        if hasStarted {
            deadline = now + length + script.silence
        } else {
            lengthBeforeStart = lengthBeforeStart + length
        }
    }

    /// Counts the silence from here, unless somebody is speaking.
    private mutating func waitForSilence(from now: MediaTime) {
        guard hasStarted, !hasSaidGoodbye, !isSpeaking, !isCallerSpeaking else { return }
        deadline = now + script.silence
    }
}
