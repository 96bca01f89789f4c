/// The words a caller hears when something is in the way.
public struct Messages: Sendable, Equatable {
    /// The occasion.
    public enum Key: String, Sendable, CaseIterable {
        /// No pipeline answers the number.
        case unknownNumber
        /// The agent's account is not set up.
        case notConfigured
        /// No agent is named for the number.
        case missingAgent
        /// Anything else went wrong.
        case failure
        /// The server is about to stop.
        case draining
        /// The server has all the calls it may have.
        case busy

        var summary: String {
            switch self {
            case .unknownNumber: "Said when no pipeline answers the number."
            case .notConfigured: "Said when the agent's account is not set up."
            case .missingAgent: "Said when no agent is named for the number."
            case .failure: "Said when anything else goes wrong."
            case .draining: "Said while the server is about to stop."
            case .busy: "Said while the server has all the calls it may have."
            }
        }
    }

    private var texts: [Key: String] = [:]
    /// How the carrier speaks them; without anything set, that of the next level.
    public var voice = CarrierVoice()

    public init(_ texts: [Key: String] = [:], voice: CarrierVoice = CarrierVoice()) {
        self.texts = texts
        self.voice = voice
    }

    /// The words that were set; `nil` leaves the choice to the next level.
    public subscript(key: Key) -> String? {
        get { texts[key] }
        set { texts[key] = newValue }
    }

    static let fields =
        Key.allCases.map { Field($0.rawValue, .string, $0.summary) } + [
            Field(
                "language", .string, example: #""de-DE""#,
                "The language that these are in (BCP 47), and the words of rules; the carrier's own choice when absent."
            ),
            Field(
                "voice", .string, example: #""Polly.Vicki""#,
                "Whose voice says them: man, woman, or one of Amazon Polly or Google (twilio.com/docs/voice/twiml/say)."
            ),
        ]

    init(_ settings: Settings) {
        for key in Key.allCases { texts[key] = settings.string(key.rawValue) }
        voice = CarrierVoice(settings)
    }
}

extension Linter {
    /// Reads `messages` at the top of a document.
    func messages(_ members: [JSONMember]) -> Messages? {
        let path = DocumentPath.root.key("messages")
        let errorsBefore = errorCount
        guard let node = members["messages"], let inner = self.members(node, path, "messages") else { return nil }
        let reading = readFields(inner, of: node, fields: Messages.fields, owner: quoted("messages"), path)
        let messages = Messages(reading.settings)
        for problem in messages.voice.problems {
            guard let node = inner[problem.field] else { continue }
            report(
                problem.code, node.range, path.key(problem.field), problem.message,
                problem.remedy.map { .init($0) })
        }
        return errorCount == errorsBefore || keepsSoundParts ? messages : nil
    }
}
