/// Words, with who said them. The same in both directions.
public struct AgentSocketText: Sendable, Equatable {
    public enum Speaker: String, Sendable { case caller, agent }

    public var text: String
    public var speaker: Speaker
    /// False while the words may still change.
    public var isFinal: Bool
    /// Second thoughts about words that were final.
    public var isCorrection: Bool

    public init(_ text: String, speaker: Speaker, isFinal: Bool = true, isCorrection: Bool = false) {
        self.text = text
        self.speaker = speaker
        self.isFinal = isFinal
        self.isCorrection = isCorrection
    }
}

/// What the caller has really heard of a turn of the agent.
public struct AgentSocketHeard: Sendable, Equatable {
    public var text: String
    /// Milliseconds of its audio.
    public var milliseconds: Int
    /// Whether nothing of the turn was cut.
    public var isComplete: Bool

    public init(text: String, milliseconds: Int, isComplete: Bool) {
        self.text = text
        self.milliseconds = milliseconds
        self.isComplete = isComplete
    }
}

extension AgentSocketText {
    func write(into text: inout JSONText) {
        text.member("speaker", speaker.rawValue)
        text.member("text", self.text)
        text.member("final", isFinal)
        if isCorrection { text.member("correction", true) }
    }

    init(_ message: JSONObject, default speaker: Speaker) throws(WireError) {
        text = try message.requiredString("text", in: "text", limit: AgentSocketLimits.textBytes)
        if let name = try message.optionalString("speaker") {
            guard let known = Speaker(rawValue: name) else {
                throw WireError(.invalidValue, "\"speaker\" is \"\(name.prefix(64))\"; it is caller or agent")
            }
            self.speaker = known
        } else {
            self.speaker = speaker
        }
        isFinal = try message.optionalBool("final") ?? true
        isCorrection = try message.optionalBool("correction") ?? false
    }
}

extension AgentSocketHeard {
    func write(into text: inout JSONText) {
        text.member("text", self.text)
        text.member("ms", milliseconds)
        text.member("complete", isComplete)
    }

    init(_ object: JSONObject, in place: String) throws(WireError) {
        text = object.string("text") ?? ""
        milliseconds = try object.requiredInteger("ms", in: place)
        isComplete = object.bool("complete") ?? false
    }
}
