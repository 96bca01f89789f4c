import PatchbayCore

/// What was said before this agent took over, in words that it is told as background.
///
/// The protocol has no message for a conversation so far; a contextual update is kept by the agent and answered by
/// nothing (elevenlabs.io/docs/agents-platform/customization/events/client-to-server-events).
enum ElevenLabsHistory {
    /// The last turns within this many characters; a conversation of five minutes has about 4,000.
    static let maximumCharacters = 8000

    /// What an agent is told in the caller's place when it is to speak first: a user message is answered like speech.
    static let goOn = "(The line was interrupted for a moment. Go on where it stopped, without a greeting.)"

    /// - Returns: `nil` when nothing was said.
    static func text(of turns: [ConversationTurn], _ toolUses: [ToolUse] = []) -> String? {
        var lines: [String] = []
        var room = maximumCharacters
        for turn in turns.reversed() {
            let line = "\(turn.speaker == .caller ? "Caller" : "You"): \(turn.text)"
            guard line.count <= room else { break }
            room -= line.count
            lines.append(line)
        }
        var parts: [String] = []
        if !lines.isEmpty {
            parts.append(
                "You are in the middle of this phone call. Do not greet the caller again. The conversation so far:\n"
                    + lines.reversed().joined(separator: "\n"))
        }
        if let note = toolUses.note { parts.append(note) }
        return parts.isEmpty ? nil : parts.joined(separator: "\n")
    }
}
