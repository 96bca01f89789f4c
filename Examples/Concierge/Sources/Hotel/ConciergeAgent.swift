import Patchbay

/// `concierge`: looks rooms up in the hotel's book, and says what is written there. Lives in this process.
struct ConciergeAgent: AgentComponent {
    let book: RoomBook

    let spec = ComponentSpec("concierge", .agent, summary: "Says what the hotel's book knows about a room.") {
        Field("greeting", .string, default: "Grand Hotel. Please type your room number.", "Said first.")
        Field("voice", .string, default: "en", "Voice of espeak-ng, for instance en-us or de.")
    }

    func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend {
        func speak(_ text: String) throws(PipelineError) -> SpokenText {
            let voice = settings.string("voice") ?? "en"
            return try SpeechLibrary.shared.spoken(text, voice: voice, directory: settings.directory)
        }
        var answers: [String: SpokenText] = [:]
        for (room, text) in book.rooms { answers[room] = try speak(text) }
        return Backend(
            greeting: try speak(settings.string("greeting") ?? ""), answers: answers,
            sorry: try speak("I cannot find that room."))
    }

    private struct Backend: AgentBackend {
        let type = "concierge"
        let greeting: SpokenText
        let answers: [String: SpokenText]
        let sorry: SpokenText

        func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
            AgentSession(Conversation(backend: self, joint: request.joint), endpoint: .local)
        }
    }

    private struct Conversation: AgentConversation {
        let backend: Backend
        let joint: AudioFormat
        var isSpeaking = false

        mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.ready(input: joint, output: SpokenText.format))
            say(backend.greeting, into: &output)
        }

        mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
            switch frame {
            case .custom(let frame as RoomTyped):
                if isSpeaking { output.emit(.interruption(cause: "the guest typed a room")) }
                say(backend.answers[frame.room] ?? backend.sorry, into: &output)
            case .agentStartedSpeaking: isSpeaking = true
            case .agentStoppedSpeaking: isSpeaking = false
            default: break
            }
        }

        private func say(_ spoken: SpokenText, into output: inout AgentOutput) {
            output.emit(.text(TextFrame(spoken.text, speaker: .agent)))
            output.emit(.audio(spoken.audio))
            output.emit(.turnEnded)
        }
    }
}
