/// What was said on a call so far, for an agent that takes over: the caller's final words, and of the agents' what was heard.
struct ConversationHistory {
    /// Turns kept; the oldest are forgotten first.
    static let turnLimit = 100
    /// Characters kept over all turns; the oldest turns are forgotten first.
    static let characterLimit = 16_000
    /// Characters kept of one turn, the last ones.
    static let turnCharacterLimit = 4000

    private(set) var turns: [ConversationTurn] = []
    /// The tools that agents have called, oldest first.
    private(set) var toolUses: [ToolUse] = []
    /// The places in ``toolUses`` that have no answer yet, by the agent's id of the call.
    private var unanswered: [String: Int] = [:]
    private var characters = 0

    /// Whether the caller said the last word and has no answer yet.
    var endsWithCaller: Bool { turns.last?.speaker == .caller }

    mutating func append(_ speaker: TextFrame.Speaker, _ text: String) {
        let text = String(text.suffix(Self.turnCharacterLimit))
        guard text.contains(where: { !$0.isWhitespace }) else { return }
        turns.append(ConversationTurn(speaker, text))
        characters += text.count
        while turns.count > Self.turnLimit || characters > Self.characterLimit {
            characters -= turns.removeFirst().text.count
        }
    }

    /// The caller's last words are to read otherwise.
    mutating func correctCaller(_ text: String) {
        guard endsWithCaller, let last = turns.popLast() else { return }
        characters -= last.text.count
        append(.caller, text)
    }

    mutating func toolCalled(_ call: ToolCall) {
        if toolUses.count == ToolUse.countLimit {
            toolUses.removeFirst()
            unanswered = unanswered.compactMapValues { $0 > 0 ? $0 - 1 : nil }
        }
        unanswered[call.id] = toolUses.count
        toolUses.append(ToolUse(String(call.name.prefix(64)), arguments: call.arguments))
    }

    mutating func toolAnswered(_ result: ToolResult) {
        guard let index = unanswered.removeValue(forKey: result.id), toolUses.indices.contains(index) else { return }
        let use = toolUses[index]
        toolUses[index] = ToolUse(
            use.name, arguments: use.arguments, answer: result.output, isError: result.isError)
    }

    /// Nobody waits for these answers any more.
    mutating func toolsCancelled(_ ids: [String]) {
        for id in ids { unanswered[id] = nil }
    }

    /// The turns with one more of the agent's, which is being played.
    func followed(by words: String) -> [ConversationTurn] {
        var copy = self
        copy.append(.agent, words)
        return copy.turns
    }
}
