/// Fragments of a transcription, joined to pieces that end between words.
///
/// The server cuts its transcriptions anywhere, and marks no end of them (ai.google.dev/gemini-api/docs/live-guide).
struct GeminiFragments {
    /// A piece is given out from this length on, or when a sentence ends: short enough that a length of sound is the
    /// words that were heard, long enough to be read.
    static let pieceLength = 24
    /// More than this is given out whatever it looks like.
    static let limit = 1_000

    private var waiting = ""

    var isEmpty: Bool { waiting.isEmpty }

    /// Takes a fragment and gives the piece that has become complete, if one has.
    mutating func append(_ fragment: String) -> String? {
        waiting += fragment
        if waiting.utf8.count > Self.limit { return takeAll() }
        guard let end = lastBoundary else { return nil }
        let piece = waiting[..<end]
        guard piece.utf8.count >= Self.pieceLength || Self.endsSentence(piece) else { return nil }
        defer { waiting = String(waiting[end...]) }
        return String(piece)
    }

    /// Takes what is left; `nil` when it holds no word.
    mutating func takeAll() -> String? {
        defer { waiting = "" }
        return waiting.allSatisfy(\.isWhitespace) ? nil : waiting
    }

    /// In front of the last blank behind a word: what follows may go on with the next fragment.
    private var lastBoundary: String.Index? {
        guard let blank = waiting.lastIndex(where: \.isWhitespace),
            waiting[..<blank].contains(where: { !$0.isWhitespace })
        else { return nil }
        return blank
    }

    private static func endsSentence(_ text: Substring) -> Bool {
        guard let last = text.last(where: { !$0.isWhitespace }) else { return false }
        return ".?!…。？！".contains(last)
    }
}

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
