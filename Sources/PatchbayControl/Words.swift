import PatchbayConfig

/// What callers hear when something is in the way: the document's words, else the server's, else ours.
struct Words: Sendable {
    private let levels: [Messages]

    init(_ levels: Messages...) { self.levels = levels }

    subscript(key: Messages.Key) -> String {
        for level in levels {
            if let text = level[key] { return text }
        }
        return switch key {
        case .unknownNumber: "This number is not in service."
        case .notConfigured: "Our AI assistant is temporarily unavailable."
        case .missingAgent: "Our AI assistant is not properly configured."
        case .failure: "We encountered an error. Please try again later."
        case .draining: "We cannot take your call at the moment. Please call again in a few minutes."
        case .busy: "All our lines are busy. Please call again in a few minutes."
        }
    }
}
