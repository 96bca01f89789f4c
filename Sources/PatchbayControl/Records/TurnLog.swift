import PatchbayCore
import PatchbayStore

/// Makes turns of the words that go by, and of what the ledger says was heard of them.
///
/// An agent's words come before their sound, often those of the next turn while one is still being played: what was heard
/// tells, by its length in words, how many of them belong to the turn that has ended.
struct TurnLog {
    /// Turns kept of one call; later words are not.
    static let turnLimit = 5000
    /// Bytes kept of what one side says in one turn.
    static let textLimit = 16_384
    /// Texts of an agent that wait for their sound.
    static let passageLimit = 200

    private struct Passage {
        var text: String
        var atMs: Int64
        var isGrowing: Bool
        /// Nobody is to read it.
        var isWithheld: Bool

        /// The text as it may be kept.
        var shown: String { isWithheld ? CallRecorder.withheld : text }
    }

    private let call: String
    private var sequence = 0
    private var lastOfCaller: (turn: StoredTurn, isWithheld: Bool)?
    /// The agent's words that are not known to be heard or cut.
    private var passages: [Passage] = []
    /// Where the turn of ``passages`` was entered.
    private var openSequence: Int?
    private var lastHeard: Heard?
    /// A turn that ended while its last text was still growing, with what stood before that text.
    private var unfinished: (turn: StoredTurn, before: String, last: Passage)?
    private var isLastTurnWithheld = false
    /// Whether nobody is to read the text that came last.
    private(set) var isLastTextWithheld = false
    /// Whether nobody is to read what was heard of the turn that is played, or of the last one.
    var isHeardWithheld: Bool { isLastTurnWithheld || passages.contains(where: \.isWithheld) }

    init(call: String) { self.call = call }

    /// - Parameter isWithheld: The words are for nobody to read. A correction of such words is neither.
    mutating func callerSaid(
        _ text: String, isCorrection: Bool, isWithheld: Bool = false, atMs: Int64
    ) -> StoredTurn? {
        let isWithheld = isWithheld || isCorrection && lastOfCaller?.isWithheld == true
        isLastTextWithheld = isWithheld
        let text = isWithheld ? CallRecorder.withheld : text.cut(toBytes: Self.textLimit)
        if isCorrection, var (turn, _) = lastOfCaller {
            (turn.text, turn.heard) = (text, text)
            lastOfCaller = (turn, isWithheld)
            return turn
        }
        guard let sequence = nextSequence() else { return nil }
        let turn = turn(sequence, atMs, .caller, text, heard: text, isInterrupted: false)
        lastOfCaller = (turn, isWithheld)
        return turn
    }

    /// - Parameter isWithheld: The words are for nobody to read; neither is what they grow to.
    /// - Returns: The turn that the words belong to, when they are complete.
    mutating func agentSaid(
        _ text: String, isFinal: Bool, isWithheld: Bool = false, atMs: Int64
    ) -> StoredTurn? {
        let text = text.cut(toBytes: Self.textLimit)
        isLastTextWithheld = isWithheld
        if isFinal, let (concluded, before, last) = unfinished {
            unfinished = nil
            isLastTextWithheld = isWithheld || last.isWithheld
            if text.hasPrefix(last.text) {
                var turn = concluded
                turn.text = Self.joined([before, isLastTextWithheld ? CallRecorder.withheld : text])
                return turn
            }
        }
        if let index = passages.indices.last, passages[index].isGrowing {
            isLastTextWithheld = isLastTextWithheld || passages[index].isWithheld
            passages[index].text = text
            passages[index].isGrowing = !isFinal
            passages[index].isWithheld = isLastTextWithheld
        } else if passages.count < Self.passageLimit {
            passages.append(Passage(text: text, atMs: atMs, isGrowing: !isFinal, isWithheld: isLastTextWithheld))
        }
        return isFinal ? open(passages) : nil
    }

    /// A turn was heard to its end, or cut.
    ///
    /// - Parameter isWithheld: Words that come with it alone are for nobody to read.
    mutating func heard(_ heard: Heard, isCut: Bool, isWithheld: Bool = false, atMs: Int64) -> [StoredTurn] {
        lastHeard = heard
        let count = isCut ? passages.count : passageCount(within: heard.text)
        guard count > 0 else {
            isLastTurnWithheld = isWithheld
            // What was heard without ever being told as words of its own.
            guard passages.isEmpty, !heard.text.isEmpty, let sequence = nextSequence() else { return [] }
            let text = isWithheld ? CallRecorder.withheld : heard.text
            return [turn(sequence, atMs, .agent, text, heard: text, isInterrupted: isCut)]
        }
        return conclude(count, heard: heard.text, isInterrupted: isCut)
    }

    /// The call is over.
    ///
    /// - Parameter heard: What was heard of the turn that was played then, or of the one before.
    mutating func ended(_ heard: Heard?) -> [StoredTurn] {
        guard !passages.isEmpty else { return [] }
        let words = heard == lastHeard ? "" : heard?.text ?? ""
        let isWhole = Self.words(words) >= passages.reduce(0) { $0 + Self.words($1.text) }
        return conclude(passages.count, heard: words, isInterrupted: !isWhole)
    }

    private mutating func conclude(_ count: Int, heard: String, isInterrupted: Bool) -> [StoredTurn] {
        let done = Array(passages.prefix(count))
        guard var turn = open(done) else { return [] }
        isLastTurnWithheld = done.contains(where: \.isWithheld)
        turn.heard = isLastTurnWithheld && !heard.isEmpty ? CallRecorder.withheld : heard.cut(toBytes: Self.textLimit)
        turn.isInterrupted = isInterrupted
        passages.removeFirst(count)
        openSequence = nil
        unfinished = nil
        if let last = done.last, last.isGrowing {
            unfinished = (turn, Self.joined(done.dropLast().map(\.shown)), last)
        }
        guard !passages.isEmpty, let rest = open(passages) else { return [turn] }
        return [turn, rest]
    }

    /// The turn of these passages as it stands: not heard yet.
    private mutating func open(_ passages: [Passage]) -> StoredTurn? {
        guard let first = passages.first, let sequence = openSequence ?? nextSequence() else { return nil }
        openSequence = sequence
        return turn(
            sequence, first.atMs, .agent, Self.joined(passages.map(\.shown)), heard: "", isInterrupted: false)
    }

    /// How many passages the words of a turn fill.
    private func passageCount(within heard: String) -> Int {
        var left = Self.words(heard), count = 0
        while left > 0, count < passages.count {
            left -= Self.words(passages[count].text)
            count += 1
        }
        return count
    }

    private mutating func nextSequence() -> Int? {
        guard sequence < Self.turnLimit else { return nil }
        defer { sequence += 1 }
        return sequence
    }

    private func turn(
        _ sequence: Int, _ atMs: Int64, _ speaker: TextFrame.Speaker, _ text: String, heard: String,
        isInterrupted: Bool
    ) -> StoredTurn {
        StoredTurn(
            call: call, sequence: sequence, atMs: atMs, speaker: speaker.rawValue, text: text, heard: heard,
            isInterrupted: isInterrupted)
    }

    private static func words(_ text: String) -> Int { text.split(whereSeparator: \.isWhitespace).count }

    private static func joined(_ texts: [String]) -> String {
        texts.reduce(into: "") { whole, text in
            if !whole.isEmpty, whole.last?.isWhitespace == false, text.first?.isWhitespace == false { whole += " " }
            whole += text
        }.cut(toBytes: Self.textLimit)
    }
}

extension String {
    /// The text, or as many of its first characters as fit.
    func cut(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var end = utf8.index(startIndex, offsetBy: limit)
        while end > startIndex, end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return String(self[..<end])
    }
}
