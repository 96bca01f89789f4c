/// Words that are meant for the model and wait until it may be told.
struct GeminiNotes {
    static let limit = 16
    /// Characters of one note; the rest is cut off.
    static let noteLimit = 8_000

    struct Note {
        var text: String
        /// Whether the model is to say something about it.
        var wantsAnswer: Bool
    }

    private(set) var waiting: [Note] = []

    var isEmpty: Bool { waiting.isEmpty }

    /// - Returns: False when the oldest note had to go.
    mutating func append(_ text: String, wantsAnswer: Bool = false) -> Bool {
        let isFull = waiting.count >= Self.limit
        if isFull { waiting.removeFirst() }
        waiting.append(Note(text: String(text.prefix(Self.noteLimit)), wantsAnswer: wantsAnswer))
        return !isFull
    }

    mutating func takeAll() -> [Note] {
        defer { waiting = [] }
        return waiting
    }
}
