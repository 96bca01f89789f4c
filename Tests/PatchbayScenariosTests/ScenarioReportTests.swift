import Foundation
import Patchbay
import PatchbayScenarios
import Testing

/// What people and tools read about a test.
struct ScenarioReportTests {
    private func failing() throws -> ScenarioResult {
        try ScenarioFolder().run(
            """
            "caller": [{"atMs": 1000, "as": "tone", "tone": {"frequencyHz": 440, "durationMs": 2000}}, {"plusMs": 200, "press": "5"}],
            "expect": [{"agent": "speaks"}, {"agent": "speaks", "fromMs": 4000, "withinMs": 5000}]
            """)
    }

    @Test func aFailureIsDrawnWithItsWindowAndWhereItReallyHappened() throws {
        let text = try failing().text()
        let drawing = text.split(separator: "\n").drop { !$0.hasPrefix("    caller") }.map(String.init)
        #expect(drawing.count == 9, "\(text)")
        #expect(
            text.contains("✓ 1. the agent begins to speak")
                && text.contains("✗ 2. the agent begins to speak 4000 to 5000 ms"))
        #expect(text.contains("seen: at 1.02 s, 2980 ms too early"))
        let lane = try #require(drawing.first { $0.contains("expect 2") })
        let agent = try #require(drawing.first { $0.hasPrefix("    agent") })
        #expect(Array(lane).firstIndex(of: "×") == Array(agent).firstIndex(of: "█"), "\(text)")
        #expect(lane.contains("[") && lane.contains("]") && !text.contains("\u{1B}"))
        #expect(drawing.contains { $0.contains("key pressed: 5") })
        #expect(try failing().text(style: ReportStyle(colour: true)).contains("\u{1B}[1;31m✗"))
    }

    @Test func aLongCallIsDrawnAroundItsFailures() throws {
        let result = try ScenarioFolder().run(
            """
            "caller": [{"atMs": 26000, "tone": {"frequencyHz": 440, "durationMs": 500}}],
            "expect": [{"agent": "speaks", "fromMs": 27000, "withinMs": 28000}]
            """)
        let lines = result.text().split(separator: "\n")
        let caller = try #require(lines.firstIndex { $0.hasPrefix("    caller") })
        let numbers = lines[caller - 1].split(separator: " ").compactMap { Int($0) }
        #expect(numbers.first == 23 && numbers.contains(26) && numbers.last ?? 99 <= 32, "\(result.text())")
    }

    @Test func toolsGetEverythingAsJSON() throws {
        let result = try failing()
        let tests = try #require(
            try JSONSerialization.jsonObject(with: Data(try [result].json.utf8)) as? [[String: Any]])
        let test = try #require(tests.first)
        #expect(test["name"] as? String == "one" && test["passed"] as? Bool == false && test["callMs"] as? Int == 6200)
        let second = try #require((test["expectations"] as? [[String: Any]])?.last)
        #expect(second["fromMs"] as? Int == 4000 && second["toMs"] as? Int == 5000)
        #expect(second["seenAtMs"] as? [Int] == [1020] && second["path"] as? String == "tests[0].expect[1]")
        #expect([result].summary.hasPrefix("0 tests passed, 1 failed, in "))
    }
}
