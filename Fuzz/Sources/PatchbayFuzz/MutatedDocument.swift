import Foundation

@testable import PatchbayConfig

/// A sound document and its fragment, changed as the bytes of an input say.
///
/// Bytes that libFuzzer changes seldom leave JSON whole; here every change is one of the tree: a value of another type, a key
/// that moves, a stage that stands twice or somewhere else.
enum MutatedDocument {
    static func make(from bytes: [UInt8]) -> (document: String, fragment: String) {
        var choices = Choices(bytes)
        var document = Self.document
        var fragment = Self.fragment
        var changes = 0
        while !choices.isEmpty, changes < 24 {
            changes += 1
            if choices.next(4) == 0 {
                change(&fragment, &choices, depth: 0)
            } else {
                change(&document, &choices, depth: 0)
            }
        }
        return (text(document), text(fragment))
    }

    private struct Choices {
        private var bytes: ArraySlice<UInt8>
        init(_ bytes: [UInt8]) { self.bytes = bytes[...] }
        var isEmpty: Bool { bytes.isEmpty }
        mutating func next(_ count: Int) -> Int { count < 1 ? 0 : Int(bytes.popFirst() ?? 0) % count }
    }

    // MARK: The documents

    private static let document = read(
        #"""
        {
          "name": "x", "description": "d", "numbers": {"+15551234567": {"language": "de", "rate": 8000}, "+4930*": {"language": "en"}},
          "variables": {"language": "en", "rate": 16000, "open": true, "home": "${env.BACKEND_URL}"},
          "when": [
            {"callers": ["+1555*", "anonymous"], "say": "No ${language}"},
            {"outside": {"timeZone": "Europe/Berlin", "monday": ["09:00-12:30", "14:00-18:00"], "dates": {"2026-12-25": []}}, "say": "Closed"}
          ],
          "transport": {"type": "twilio", "edge": "dublin"},
          "stages": [
            "decoder",
            {"type": "include", "file": "y.fragment.json", "with": {"rate": 16000}},
            {"type": "tee", "stages": [{"type": "vad", "silenceMs": 300}]},
            {"type": "switch", "on": "key", "cases": {"1": [{"type": "vad"}], "#": []}, "otherwise": []},
            {"type": "switch", "on": "${language}", "cases": {
              "de": [{"type": "agent", "bridge": "Moment", "backends": [
                {"type": "elevenlabs", "agentId": "${home}", "apiKey": {"env": "AGENT_KEY"}, "headers": {"X": {"env": "AGENT_KEY"}, "Y": "${call.from}"},
                 "dynamicVariables": {"a": "${rate}"}, "turn": {"eagerness": "low"}, "hooks": [{"name": "n", "url": "u", "parameters": {"a": [1]}}],
                 "tools": [{"name": "n", "description": "d", "url": "https://u.example/{a}", "body": {"x": "{a} ${home}"},
                   "parameters": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^[a-z]{2}$"}}, "required": ["a"]}}]},
                {"type": "script", "say": "${context.x}", "then": ["a", "${language}"]}]}],
              "en": [{"type": "realtime", "apiKey": {"env": "AGENT_KEY"}}]}},
            {"type": "resampler", "rateHz": 8000}, {"type": "encoder", "encoding": "mulaw"}
          ],
          "hooks": [{"name": "book", "url": "${home}"}],
          "tools": [{"name": "book", "description": "d", "method": "GET", "url": "https://${home}/x", "query": {"q": "{a}"}, "retries": 1,
            "parameters": {"type": "object", "properties": {"a": {"$ref": "#"}}}, "headers": {"X-Key": {"env": "AGENT_KEY"}}}], "messages": {"failure": "f"}, "limits": {"leadMs": 300}, "latencyBudgetMs": 200
        }
        """#)

    private static let fragment = read(
        #"""
        {"description": "f", "parameters": {"rate": null, "silence": 700, "level": "0.5"},
         "stages": [{"type": "resampler", "rateHz": "${rate}"}, {"type": "vad", "silenceMs": "${silence}", "threshold": 0.5}]}
        """#)

    private static func read(_ text: String) -> JSONNode.Content {
        do {
            return try SourceText(file: "", text).readJSON().content
        } catch {
            fatalError("\(error)")
        }
    }

    // MARK: Changes

    private static func change(_ content: inout JSONNode.Content, _ choices: inout Choices, depth: Int) {
        switch content {
        case .object(var members) where !members.isEmpty && choices.next(8) > 0:
            let index = choices.next(members.count)
            switch choices.next(12) {
            case 0: members.remove(at: index)
            case 1: members.append(members[index])
            case 2: members[index].key = key(&choices)
            case 3: members.insert(.init(key: key(&choices), keyRange: 0..<0, value: node(value(&choices))), at: index)
            case 4: members[index].value = members[choices.next(members.count)].value
            default: change(&members[index].value.content, &choices, depth: depth + 1)
            }
            content = .object(members)
        case .array(var elements) where !elements.isEmpty && choices.next(8) > 0:
            let index = choices.next(elements.count)
            switch choices.next(10) {
            case 0: elements.remove(at: index)
            case 1: elements.append(elements[index])
            case 2: elements.swapAt(index, choices.next(elements.count))
            case 3: elements.insert(node(value(&choices)), at: index)
            case 4:
                elements[index].content = .object([
                    .init(key: "type", keyRange: 0..<0, value: node(.string("tee"))),
                    .init(key: "stages", keyRange: 0..<0, value: node(.array([elements[index]]))),
                ])
            default: change(&elements[index].content, &choices, depth: depth + 1)
            }
            content = .array(elements)
        default: content = value(&choices)
        }
    }

    private static func node(_ content: JSONNode.Content) -> JSONNode { JSONNode(content, range: 0..<0) }

    private static let words = [
        "", "x", "de", "en", "echo", "vad", "decoder", "encoder", "resampler", "script", "agent", "tee", "switch",
        "include", "twilio",
        "wav", "key", "${language}", "${rate}", "${nothing}", "${call.to}", "${context.a}", "${env.EMPTY}", "${", "$${",
        "${}",
        "y.fragment.json", "z.fragment.json", "../y.fragment.json", "+15551234567", "+4930*", "*", "0049 30",
        "anonymous", "Europe/Berlin",
        "09:00-12:30", "24:00-00:00", "22:00-06:00", "2026-02-30", "sk-live-" + "9876543210", "\u{1F600}\u{202E}\"\\\n",
        "mulaw", "1", "#",
    ]

    private static let keys = [
        "type", "name", "stages", "numbers", "variables", "transport", "when", "callers", "during", "outside",
        "pipeline", "say", "timeZone",
        "monday", "dates", "on", "cases", "otherwise", "file", "with", "parameters", "backends", "bridge", "apiKey",
        "env", "rateHz",
        "silenceMs", "messages", "limits", "latencyBudgetMs", "tools", "+49*", "de", "1", "", "stagez", "$schema",
        "description", "headers",
    ]

    private static func key(_ choices: inout Choices) -> String { keys[choices.next(keys.count)] }

    private static func value(_ choices: inout Choices) -> JSONNode.Content {
        switch choices.next(10) {
        case 0: .null
        case 1: .boolean(choices.next(2) == 0)
        case 2: .number(["0", "-1", "1.5", "1e308", "8000", "16000", "9999999999999999999999"][choices.next(7)])
        case 3: .array([])
        case 4: .object([])
        case 5: .array([node(value(&choices))])
        case 6: .object([.init(key: key(&choices), keyRange: 0..<0, value: node(value(&choices)))])
        default: .string(words[choices.next(words.count)])
        }
    }

    // MARK: Text

    private static func text(_ content: JSONNode.Content) -> String {
        switch content {
        case .null: "null"
        case .boolean(let value): String(value)
        case .number(let text): text
        case .string(let text): jsonQuoted(text)
        case .array(let elements): "[" + elements.map { text($0.content) }.joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { jsonQuoted($0.key) + ":" + text($0.value.content) }.joined(separator: ",\n") + "}"
        }
    }
}
