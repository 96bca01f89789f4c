import DequeModule

/// What the agent says, laid along its audio, so that a length of sound that was heard becomes the words that were heard.
///
/// Positions are lengths of agent audio, in the order in which it came. A text begins where the audio had got to when the
/// text came, since agents send a text before or with its sound.
struct AgentTranscript {
    /// Speech that is faster than this is not expected: while a text's audio is still coming, its end is put no nearer.
    static let charactersPerSecond = 15.0
    /// Texts kept; the oldest are forgotten first. A turn has a few.
    static let limit = 200
    /// Marks kept of one text; what is spoken after the last one is taken to be spoken evenly.
    static let markLimit = 2000

    /// A passage counts as complete this much before its end: filters hold something back, packets are filled up.
    static let tolerance = TimeSpan.milliseconds(40)

    private struct Passage {
        var text: String
        var start: TimeSpan
        /// Where its audio ends; `nil` while it may still come.
        var end: TimeSpan?
        /// More words of it may come.
        var isGrowing = false
        /// Where the agent told that it is spoken so far; positions and characters rise.
        var marks: [(position: TimeSpan, characters: Int)] = []
    }

    private var passages: Deque<Passage> = []
    /// Audio that has come.
    private var received = TimeSpan.zero
    /// Where the turn that is played begins.
    private var turnStart = TimeSpan.zero
    /// Audio that has been taken to be played.
    private var taken = TimeSpan.zero
    /// What of the turn was left out instead of played.
    private var skipped = TimeSpan.zero

    mutating func audioCame(_ duration: TimeSpan) { received = received + duration }

    mutating func audioTaken(_ duration: TimeSpan) { taken = taken + duration }

    /// Silence that has been taken was left out instead of played.
    mutating func audioSkipped(_ duration: TimeSpan) { skipped = skipped + duration }

    /// A text, or the last form of the one that has been growing.
    ///
    /// - Parameter isFinal: Whether no more words of it will come; until then `text` is all of it so far. It begins where
    ///   its first words came.
    mutating func textCame(_ text: String, isFinal: Bool = true) {
        if let last = passages.indices.last, passages[last].isGrowing {
            passages[last].text = text
            passages[last].isGrowing = !isFinal
            return
        }
        closePassage()
        if passages.count == Self.limit { passages.removeFirst() }
        passages.append(Passage(text: text, start: received, isGrowing: !isFinal))
    }

    /// So many more characters of the last text are spoken in the first `span` of the audio that comes next.
    mutating func spoken(_ characters: Int, in span: TimeSpan) {
        guard let last = passages.indices.last, passages[last].end == nil, characters > 0, span > .zero,
            passages[last].marks.count < Self.markLimit
        else { return }
        let before = passages[last].marks.last
        let position = max(received + span, before?.position ?? .zero)
        let (total, overflow) = characters.addingReportingOverflow(before?.characters ?? 0)
        if !overflow { passages[last].marks.append((position, total)) }
    }

    /// The agent has sent everything of its turn.
    mutating func turnCame() { closePassage() }

    /// The agent is gone in the middle of a sentence: of its last text there is no more than what its audio holds.
    mutating func breakOff() {
        guard let last = passages.indices.last, passages[last].end == nil else { return }
        let end = end(of: passages[last])
        if end - received > Self.tolerance { passages[last].text = part(of: passages[last], received, end) }
        passages[last].end = received
        passages[last].isGrowing = false
        if passages[last].text.isEmpty { passages.removeLast() }
    }

    /// Audio that came is dropped, all but the next `rest` of what has not been taken.
    mutating func audioDropped(exceptNext rest: TimeSpan) {
        received = min(received, taken + rest)
        passages.removeAll { $0.start >= received }
        if let last = passages.indices.last { passages[last].end = min(passages[last].end ?? received, received) }
    }

    /// The words that have come and not been taken, those of the turn that is being played included or not.
    func wordsAhead(withTurn: Bool) -> String {
        words(until: received, from: withTurn ? .zero : taken)
    }

    /// What is taken from here on belongs to the next turn.
    mutating func startTurn() {
        turnStart = taken
        skipped = .zero
        while let first = passages.first, let end = first.end, end <= turnStart { passages.removeFirst() }
    }

    /// Forgets everything, with the audio.
    mutating func reset() { self = AgentTranscript() }

    /// The words within the first `duration` of the turn that is played.
    func words(in duration: TimeSpan) -> String {
        words(until: turnStart + duration + skipped)
    }

    /// The words of everything that was taken of the turn.
    var wordsTaken: String { words(until: taken) }

    private func words(until: TimeSpan, from start: TimeSpan = .zero) -> String {
        var words = ""
        for passage in passages where passage.start < until && passage.start >= start {
            let end = end(of: passage)
            let text = end - until <= Self.tolerance ? passage.text : part(of: passage, until, end)
            guard !text.isEmpty else { continue }
            if !words.isEmpty, words.last?.isWhitespace == false, text.first?.isWhitespace == false { words += " " }
            words += text
        }
        return words
    }

    private func end(of passage: Passage) -> TimeSpan {
        if let end = passage.end { return end }
        let seconds = Double(passage.text.count) / Self.charactersPerSecond
        return max(received, passage.start + TimeSpan(nanoseconds: Int64(seconds * 1e9)))
    }

    /// How many characters are spoken before `until`: evenly between the agent's own marks, or without any.
    private func characters(of passage: Passage, _ until: TimeSpan, _ end: TimeSpan) -> Int {
        var before = (position: passage.start, characters: 0)
        var next = (position: end, characters: passage.text.count)
        for mark in passage.marks {
            guard mark.position <= until else {
                next = mark
                break
            }
            before = mark
        }
        guard next.position > before.position, next.characters > before.characters else { return before.characters }
        let share = (until - before.position).seconds / (next.position - before.position).seconds
        return before.characters + Int(Double(next.characters - before.characters) * min(1, share))
    }

    /// The words that end before `until`.
    private func part(of passage: Passage, _ until: TimeSpan, _ end: TimeSpan) -> String {
        let count = max(0, min(passage.text.count, characters(of: passage, until, end)))
        let heard = passage.text.prefix(count)
        // The character after the last one heard tells whether a word ended there.
        let next = passage.text.dropFirst(count).first
        if next == nil || next?.isWhitespace == true { return String(heard) }
        guard let space = heard.lastIndex(where: \.isWhitespace) else { return "" }
        return String(heard[..<space])
    }

    private mutating func closePassage() {
        guard let last = passages.indices.last, passages[last].end == nil else { return }
        passages[last].end = received
    }
}
