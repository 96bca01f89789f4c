import PatchbayCore
import PatchbayStore
import Testing

@testable import PatchbayControl

/// Words and what was heard of them become turns.
struct TurnLogTests {
    private enum Step: Sendable {
        case caller(String)
        case correction(String)
        case agent(String)
        case growing(String)
        case heard(String)
        case cut(String)
        case end(String?)
    }

    private static func heard(_ text: String) -> Heard {
        Heard(text: text, duration: .seconds(1), isComplete: false)
    }

    /// The turns as they are kept in the end: `speaker: text | heard`, with `!` where they were cut.
    private static func turns(_ steps: [Step]) -> [String] {
        var log = TurnLog(call: "c")
        var kept: [Int: StoredTurn] = [:]
        func keep(_ turns: [StoredTurn]) { for turn in turns { kept[turn.sequence] = turn } }
        for (index, step) in steps.enumerated() {
            let atMs = Int64(index)
            switch step {
            case .caller(let text):
                keep([log.callerSaid(text, isCorrection: false, atMs: atMs)].compactMap { $0 })
            case .correction(let text):
                keep([log.callerSaid(text, isCorrection: true, atMs: atMs)].compactMap { $0 })
            case .agent(let text): keep([log.agentSaid(text, isFinal: true, atMs: atMs)].compactMap { $0 })
            case .growing(let text): keep([log.agentSaid(text, isFinal: false, atMs: atMs)].compactMap { $0 })
            case .heard(let text): keep(log.heard(heard(text), isCut: false, atMs: atMs))
            case .cut(let text): keep(log.heard(heard(text), isCut: true, atMs: atMs))
            case .end(let text): keep(log.ended(text.map(heard)))
            }
        }
        return kept.values.sorted { $0.sequence < $1.sequence }.map {
            "\($0.speaker): \($0.text) | \($0.heard)\($0.isInterrupted ? " !" : "")"
        }
    }

    private static let cases: [([Step], [String])] = [
        ([.caller("Hi")], ["caller: Hi | Hi"]),
        ([.caller("Hi"), .correction("High")], ["caller: High | High"]),
        ([.agent("Hello there")], ["agent: Hello there | "]),
        ([.agent("Hello there"), .heard("Hello there")], ["agent: Hello there | Hello there"]),
        ([.agent("Hello there"), .cut("Hello")], ["agent: Hello there | Hello !"]),
        // Two texts of one turn.
        (
            [.agent("Hello."), .agent("How are you?"), .heard("Hello. How are you?")],
            ["agent: Hello. How are you? | Hello. How are you?"]
        ),
        // The next turn's words come while the first is still heard.
        (
            [.agent("One two"), .agent("three four"), .heard("One two"), .heard("three four")],
            ["agent: One two | One two", "agent: three four | three four"]
        ),
        (
            [.agent("One two"), .agent("three four"), .heard("One two"), .cut("three")],
            ["agent: One two | One two", "agent: three four | three !"]
        ),
        // Cut before anything of it was heard.
        ([.agent("One two"), .cut(""), .caller("Stop")], ["agent: One two |  !", "caller: Stop | Stop"]),
        // A text that grows, and is finished only afterwards.
        (
            [.growing("Hel"), .growing("Hello"), .agent("Hello there"), .heard("Hello there")],
            ["agent: Hello there | Hello there"]
        ),
        (
            [.growing("Hello"), .cut("Hello"), .agent("Hello there"), .agent("Next"), .heard("Next")],
            ["agent: Hello there | Hello !", "agent: Next | Next"]
        ),
        (
            [.growing("Hello"), .cut("Hello"), .agent("Next"), .heard("Next")],
            ["agent: Hello | Hello !", "agent: Next | Next"]
        ),
        // The end of the call, in the middle and behind a turn.
        ([.agent("One two three"), .end("One")], ["agent: One two three | One !"]),
        ([.agent("Goodbye now"), .end("Goodbye now")], ["agent: Goodbye now | Goodbye now"]),
        (
            [.agent("One"), .heard("One"), .agent("Two"), .end("One")],
            ["agent: One | One", "agent: Two |  !"]
        ),
        ([.agent("One"), .end(nil)], ["agent: One |  !"]),
        ([.end(nil)], []),
        // Sound without words, and words that came with it only.
        ([.heard("")], []),
        ([.agent("One"), .heard("")], ["agent: One | "]),
        ([.heard("Bridge")], ["agent: Bridge | Bridge"]),
    ]

    @Test(arguments: 0..<cases.count) func turnsAre(number: Int) {
        let (steps, expected) = Self.cases[number]
        #expect(Self.turns(steps) == expected, "\(steps)")
    }

    @Test func everythingIsBounded() {
        var log = TurnLog(call: "c")
        let long = String(repeating: "é", count: TurnLog.textLimit)
        for _ in 0..<3 * TurnLog.passageLimit { _ = log.agentSaid(long, isFinal: true, atMs: 0) }
        let turn = log.heard(Self.heard(long), isCut: true, atMs: 0).first
        #expect((turn?.text.utf8.count ?? 0) <= TurnLog.textLimit && (turn?.heard.utf8.count ?? 0) <= TurnLog.textLimit)
        var count = 0
        for _ in 0..<2 * TurnLog.turnLimit where log.callerSaid("x", isCorrection: false, atMs: 0) != nil { count += 1 }
        #expect(count == TurnLog.turnLimit - 1)
    }

    @Test(arguments: [("abc", 2, "ab"), ("aé", 2, "a"), ("é", 1, ""), ("", 0, ""), ("👍🏽", 4, "👍")])
    func textsAreCutBetweenCharacters(text: String, limit: Int, expected: String) {
        #expect(text.cut(toBytes: limit) == expected)
    }
}
