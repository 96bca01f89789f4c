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

    public init(_ texts: [Key: String] = [:]) { self.texts = texts }

    /// The words that were set; `nil` leaves the choice to the next level.
    public subscript(key: Key) -> String? {
        get { texts[key] }
        set { texts[key] = newValue }
    }

    static let fields = Key.allCases.map { Field($0.rawValue, .string, $0.summary) }

    init(_ settings: Settings) {
        for key in Key.allCases { texts[key] = settings.string(key.rawValue) }
    }
}
