import Foundation
import PatchbayAudio
import PatchbayCore
import Testing

@testable import PatchbayConfig

/// Drawings and reports, exactly as they are printed, beside the documents that they are of. With
/// `PATCHBAY_WRITE_GOLDENS=1` in the environment they are written instead of compared.
@Suite("Drawings and reports")
struct GraphTests {
    static let folder = GoldenFile.folder.appendingPathComponent("Graph")

    /// Everything that can be drawn, in three documents.
    static let documents = [
        "desk": """
        {
          "name": "desk",
          "description": "Front desk <of a salon> & spa",
          "numbers": {
            "+15551234567": { "language": "de", "apiToken": "very-secret" }, "+4930*": { "language": "en" }
          },
          "variables": { "greeting": "Hello!" },
          "transport": "twilio",
          "when": [
            { "callers": ["anonymous"], "say": "Please show your number." },
            {
              "outside": {
                "timeZone": "Europe/Berlin", "monday": ["09:00-17:00"], "tuesday": ["09:00-17:00"],
                "thursday": ["09:00-12:00", "14:00-18:00"], "dates": { "2026-12-24": [] }
              },
              "pipeline": "night"
            }
          ],
          "stages": [
            "vad",
            { "type": "resampler", "rateHz": 16000 },
            { "type": "tee", "stages": ["encoder"] },
            { "type": "switch", "on": "key", "cases": { "1": ["vad"], "2": [] }, "otherwise": ["vad", "vad"] },
            {
              "type": "switch", "on": "${language}",
              "cases": {
                "de": [{ "type": "agent", "backends": ["elevenlabs", { "type": "script", "say": "Guten Tag" }] }],
                "en": ["echo"]
              }
            },
            { "type": "resampler", "rateHz": 8000 },
            "encoder"
          ],
          "latencyBudgetMs": 60
        }
        """,
        "night": """
        { "name": "night", "transport": "twilio", "stages": ["echo"],
          "when": [{ "callers": ["+1*"], "pipeline": "desk" }] }
        """,
        "line": """
        {
          "name": "line", "numbers": ["+15550001111"], "transport": "wav",
          "stages": [{ "type": "vad", "silenceMs": 500 }, { "type": "resampler", "rateHz": 16000 }, "echo"]
        }
        """,
    ]

    private func set() throws -> PipelineSet {
        let registry = try ComponentRegistry.test { from, to in
            var steps: [ComponentRegistry.Converter] = []
            if from.encoding != .pcm16 { steps.append(.init("decoder")) }
            if from.sampleRate != to.sampleRate {
                steps.append(.init("resampler", ["rateHz": .number(Double(to.sampleRate))]))
            }
            if to.encoding != .pcm16 { steps.append(.init("encoder", ["encoding": .string(to.encoding.rawValue)])) }
            return steps
        }
        let sources = Self.documents.sorted { $0.key < $1.key }.map {
            SourceText(file: "Pipelines/\($0.key).json", $0.value)
        }
        let (set, diagnostics) = PipelineSet.load(
            sources: sources, registry: registry, environment: [:], options: LoadOptions(checkEnvironment: false))
        return try #require(set, "\(diagnostics.rendered())")
    }

    private func outline(_ name: String) throws -> PipelineOutline {
        let set = try set()
        return PipelineOutline(try #require(set.document(named: name)), in: set)
    }

    private func check(_ text: String, _ file: String) throws {
        let url = Self.folder.appendingPathComponent(file)
        if ProcessInfo.processInfo.environment["PATCHBAY_WRITE_GOLDENS"] == "1" {
            try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
            try text.write(to: url, atomically: true, encoding: .utf8)
        } else {
            let expected = try String(contentsOf: url, encoding: .utf8)
            #expect(
                text == expected, "\(file) is another; write it anew with PATCHBAY_WRITE_GOLDENS=1 and read the change")
        }
    }

    @Test("A drawing is exactly as written", arguments: ["desk", "line", "night"])
    func drawings(_ name: String) throws {
        let outline = try outline(name)
        try check(outline.text(), "\(name).txt")
        try check(outline.mermaid, "\(name).mmd")
        try check(outline.svg, "\(name).svg")
        try check(outline.json.text() + "\n", "\(name).json")
    }

    @Test("An overview is exactly as written")
    func overview() throws {
        let overview = PipelineOverview(try set())
        try check(overview.text(), "overview.txt")
        try check(overview.mermaid, "overview.mmd")
        try check(overview.svg, "overview.svg")
    }

    @Test(
        "A dry run is exactly as written",
        arguments: [
            ("monday", "+15551234567", "+4940123", "2026-01-05T10:00:00Z"),
            ("closed", "+4930123", "+4940123", "2026-01-07T10:00:00Z"),
            ("anonymous", "+15551234567", "", "2026-01-05T10:00:00Z"),
            ("back", "+15551234567", "+15550009999", "2026-01-07T10:00:00Z"),
            ("wav", "+15550001111", "+1", "2026-01-07T10:00:00Z"),
        ])
    func routes(_ name: String, _ number: String, _ from: String, _ at: String) throws {
        let date = try #require(ISO8601DateFormatter().date(from: at))
        let decision = try #require(try set().decide(number, from: from, at: date))
        let report = try RouteReport(number: number, decision, from: from)
        try check(report.text(), "route-\(name).txt")
        try check(report.json.text() + "\n", "route-\(name).json")
        #expect(!(report.text() + report.json.text()).contains("very-secret"))
    }

    @Test("The settled keys of a dry run are there, and they add up")
    func keys() throws {
        let date = try #require(ISO8601DateFormatter().date(from: "2026-01-05T10:00:00Z"))
        let decision = try #require(try set().decide("+4930123", from: "+4940123", at: date))
        let text = try RouteReport(number: "+4930123", decision).json.text()
        let json = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        for key in ["number", "pipeline", "file", "version"] { #expect(json[key] is String, "\(key)") }
        let stages = try #require(json["stages"] as? [[String: Any]])
        for stage in stages {
            #expect(stage["type"] is String && stage["takes"] is String && stage["gives"] is String)
            #expect(stage["delayMs"] is Double && stage["inserted"] is Bool)
        }
        let running = stages.filter { $0["leftOut"] == nil }
        let sum = running.reduce(0) { $0 + ($1["delayMs"] as? Double ?? 0) }
        #expect(abs(sum - (json["latencyMs"] as? Double ?? -1)) < 0.001)
        // What one gives, the next takes.
        for (one, next) in zip(running, running.dropFirst()) {
            #expect(one["gives"] as? String == next["takes"] as? String)
        }
    }

    @Test("A drawing holds no setting that is a text, and no secret")
    func texts() throws {
        for name in Self.documents.keys {
            let outline = try outline(name)
            let all = outline.text() + outline.svg + outline.mermaid + outline.json.text()
            #expect(!all.contains("Guten Tag") && !all.contains("very-secret"))
        }
    }

    @Test("An SVG is well-formed, whatever texts are in it")
    func svg() throws {
        var outline = try outline("desk")
        outline.summary = "<b> & \"quotes\" 'and' ]]> \u{1} \u{FFFF} \u{1F44B} end"
        outline.rules.append(.init(condition: "a < b & c", outcome: .say("</svg>")))
        for text in [outline.svg, PipelineOverview(try set()).svg] {
            let parser = XMLCheck(text)
            #expect(parser.fault == nil)
            #expect(parser.elements.contains("title") && parser.elements.contains("desc"))
            #expect(
                !text.contains("http://") || text.components(separatedBy: "http").count == 2, "refers to something else"
            )
        }
    }

    @Test("Hours are told by their weekdays")
    func hours() throws {
        #expect(
            try outline("desk").rules.map(\.condition) == [
                "caller anonymous", "outside Mon–Tue 09:00-17:00, Thu 09:00-12:00 14:00-18:00, 1 date (Europe/Berlin)",
            ])
    }

    @Test(
        "Widths are estimated on the safe side, and texts are cut to them",
        arguments: ["resampler", "WWWW", "illi", "µ-law 8 kHz", ""])
    func widths(_ text: String) {
        #expect(text.cut(to: text.pixels()) == text)
        #expect(text.cut(to: 20).pixels() <= 20 || text.cut(to: 20) == "…")
        #expect(text.lines(width: 30).allSatisfy { $0.pixels() <= 30 || $0 == "…" })
    }
}

/// Whether a text is well-formed XML, as far as names, nesting, entities and characters go.
private struct XMLCheck {
    private(set) var elements: Set<String> = []
    private(set) var fault: String?

    init(_ text: String) {
        var open: [Substring] = []
        var rest = text[...]
        while let begin = rest.firstIndex(of: "<") {
            let words = rest[..<begin]
            if words.contains("&"), !Self.isEscaped(words) { fault = "bare ampersand in \(words)" }
            guard let end = rest[begin...].firstIndex(of: ">") else {
                fault = "an open tag"
                return
            }
            let tag = rest[rest.index(after: begin)..<end]
            if tag.hasPrefix("/") {
                if open.popLast() != tag.dropFirst() { fault = "\(tag) closes another" }
            } else {
                let name = tag.prefix { $0 != " " && $0 != "/" }
                elements.insert(String(name))
                if !tag.hasSuffix("/") { open.append(name) }
            }
            rest = rest[rest.index(after: end)...]
        }
        if !open.isEmpty { fault = "\(open) stay open" }
        if text.unicodeScalars.contains(where: { $0.value < 0x20 && $0 != "\n" || $0.value == 0xFFFF }) {
            fault = "a character that XML forbids"
        }
    }

    private static func isEscaped(_ words: Substring) -> Bool {
        words.split(separator: "&", omittingEmptySubsequences: false).dropFirst().allSatisfy { part in
            ["amp;", "lt;", "gt;", "quot;"].contains(where: part.hasPrefix)
        }
    }
}
