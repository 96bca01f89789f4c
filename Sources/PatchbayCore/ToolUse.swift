/// A tool that was called earlier on this call, as an agent that takes over is told of it.
public struct ToolUse: Sendable, Equatable {
    /// Characters that are kept of the arguments, and of the answer.
    public static let argumentLimit = 500
    public static let answerLimit = 1000
    /// Uses that are kept of a call; the oldest are forgotten first.
    public static let countLimit = 20

    public var name: String
    /// As the agent wrote them.
    public var arguments: String
    /// What was answered; `nil` where the agent that called was gone before the answer came. It may have been done or not.
    public var answer: String?
    public var isError: Bool

    public init(_ name: String, arguments: String, answer: String? = nil, isError: Bool = false) {
        self.name = name
        self.arguments = String(arguments.prefix(Self.argumentLimit))
        self.answer = answer.map { String($0.prefix(Self.answerLimit)) }
        self.isError = isError
    }
}

extension [ToolUse] {
    /// The uses in words for a model, so that nothing is done twice; `nil` when there are none.
    public var note: String? {
        guard !isEmpty else { return nil }
        let lines = map { use in
            let outcome =
                switch use.answer {
                case nil: "nobody waited for its answer; it may have been done or not"
                case let answer? where use.isError: "it failed: \(answer)"
                case let answer?: "it answered: \(answer)"
                }
            return "- \(use.name) with \(use.arguments): \(outcome)"
        }
        return "Tools that were called on this phone call before; do not repeat what has been done:\n"
            + lines.joined(separator: "\n")
    }
}
