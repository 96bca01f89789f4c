import PatchbayCore
import PatchbayWire

// What the model is told in words. `clientContent` interrupts what the model is saying, so notes wait until its turn is
// over.
extension GeminiConversation {
    mutating func note(_ text: String, wantsAnswer: Bool, at now: MediaTime, into output: inout AgentOutput) {
        guard phase != .over else { return }
        if !notes.append(text, wantsAnswer: wantsAnswer) {
            output.emit(.fault("more than \(GeminiNotes.limit) notes wait for the agent; the oldest is dropped"))
        }
        if turn == .none, pendingCalls.isEmpty { sendNotes(at: now, into: &output) }
    }

    mutating func sendNotes(at now: MediaTime, into output: inout AgentOutput) {
        guard phase == .ready, !notes.isEmpty else { return }
        for note in notes.takeAll() {
            if note.wantsAnswer {
                ask(note.text, at: now, into: &output)
            } else if options.takesContent {
                send(.content([.init(.user, note.text)], isComplete: false), into: &output)
            } else {
                send(.text("(For your information; no answer is needed: \(note.text))"), into: &output)
            }
        }
    }

    /// Tells the model something that it is to answer.
    mutating func ask(_ text: String, at now: MediaTime, into output: inout AgentOutput) {
        if options.takesContent {
            send(.content([.init(.user, text)], isComplete: true), into: &output)
        } else {
            send(.text(text), into: &output)
        }
        answerIsDue(at: now)
    }
}
