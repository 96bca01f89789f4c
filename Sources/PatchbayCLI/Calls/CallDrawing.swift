import Foundation

/// A call as text: two lanes over time, or a line for everything where there is no terminal to draw in.
struct CallDrawing {
    private enum Lane { case caller, agent, call }

    private struct Item {
        var atMs: Int64
        var lane: Lane
        var text: String
    }

    /// Events that turns and tool calls tell better.
    private static let told: Set<String> = [
        "caller said", "agent said", "turn heard", "interruption", "tool called", "tool answered", "utterance sent",
    ]
    private static let timeWidth = 10
    /// Characters drawn of a tool's arguments, and of its answer.
    private static let toolLimit = 200

    private let head: [String]
    private let items: [Item]

    init(_ call: ToldCall, _ transcript: ToldTranscript) {
        let end = call.endedAt.map {
            "\(call.endReason ?? call.state), after \(CallsCommand.length($0.timeIntervalSince(call.startedAt)))"
        }
        var head = [
            "\(call.id)  \(call.callSid)  \(call.direction)",
            "\(call.from) to \(call.to), pipeline \(call.pipeline) \(call.version), agent \(call.backend)",
            "\(call.startedAt.formatted(.iso8601))  \(end ?? call.state)",
        ]
        var figures: [String] = []
        if let value = call.timeToFirstAudioMs { figures.append("first audio after \(Int(value)) ms") }
        if let value = call.responseLatencyMs { figures.append("last answer after \(Int(value)) ms") }
        if call.interruptions > 0 { figures.append("\(call.interruptions) interruptions") }
        if call.agentTakeovers > 0 { figures.append("\(call.agentTakeovers) takeovers") }
        if !figures.isEmpty { head.append(figures.joined(separator: ", ")) }
        for recording in call.recordings ?? [] { head.append("recording: \(recording)") }
        self.head = head.map(\.plainLine)

        var items: [Item] = []
        for turn in transcript.turns {
            let isCaller = turn.speaker == "caller"
            var text = "\"\(turn.text)\""
            if !isCaller, turn.heard != turn.text || turn.interrupted {
                text += turn.heard.isEmpty ? " (not heard)" : " (heard: \"\(turn.heard)\")"
                if turn.interrupted { text += " ✂" }
            }
            items.append(Item(atMs: turn.atMs, lane: isCaller ? .caller : .agent, text: text))
        }
        for tool in transcript.toolCalls {
            var text = "⚙ \(tool.name) \(tool.arguments.prefix(Self.toolLimit))"
            if let output = tool.output {
                text += " \(tool.error ? "✗" : "→") \(output.prefix(Self.toolLimit))"
            } else {
                text += " … no answer"
            }
            if let milliseconds = tool.milliseconds { text += " (\(milliseconds) ms)" }
            items.append(Item(atMs: tool.atMs, lane: .agent, text: text))
        }
        for event in call.events ?? [] where !Self.told.contains(event.event) {
            let detail = event.detail.isEmpty ? "" : ": \(event.detail)"
            items.append(Item(atMs: event.atMs, lane: .call, text: event.event + detail))
        }
        // What came at the same time stays in the order above: words before events.
        self.items = items.enumerated().sorted { ($0.element.atMs, $0.offset) < ($1.element.atMs, $1.offset) }
            .map(\.element)
    }

    /// - Parameter width: The terminal's columns; `nil` where there is no terminal.
    func lines(width: Int?) -> [String] {
        guard let width else {
            return head
                + items.map { item in
                    let who =
                        switch item.lane {
                        case .caller: "caller"
                        case .agent: "agent "
                        case .call: "      "
                        }
                    return "\(Self.time(item.atMs))  \(who)  \(item.text.plainLine)"
                }
        }
        let lane = max(20, (width - Self.timeWidth - 3) / 2)
        var lines = head.flatMap { Self.wrapped($0, width) }
        lines.append("")
        lines.append(String(repeating: " ", count: Self.timeWidth) + "caller".padded(to: lane) + " │ agent")
        for item in items {
            let time = Self.time(item.atMs).padded(to: Self.timeWidth)
            let rest = String(repeating: " ", count: Self.timeWidth)
            switch item.lane {
            case .caller:
                for (index, line) in Self.wrapped(item.text.plainLine, lane).enumerated() {
                    lines.append((index == 0 ? time : rest) + line.padded(to: lane) + " │")
                }
            case .agent:
                for (index, line) in Self.wrapped(item.text.plainLine, lane).enumerated() {
                    lines.append((index == 0 ? time : rest) + String(repeating: " ", count: lane) + " │ " + line)
                }
            case .call:
                for (index, line) in Self.wrapped(item.text.plainLine, width - Self.timeWidth - 3).enumerated() {
                    lines.append((index == 0 ? time : rest) + (index == 0 ? "─ " : "  ") + line)
                }
            }
        }
        return lines
    }

    private static func time(_ milliseconds: Int64) -> String { String(format: "%8.3f", Double(milliseconds) / 1000) }

    /// The text in lines of at most so many characters, broken between words where there are any.
    static func wrapped(_ text: String, _ width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            var word = word
            if !line.isEmpty, line.count + 1 + word.count <= width {
                line += " " + word
                continue
            }
            if !line.isEmpty { lines.append(line) }
            while word.count > width {
                lines.append(String(word.prefix(width)))
                word = word.dropFirst(width)
            }
            line = String(word)
        }
        if !line.isEmpty || lines.isEmpty { lines.append(line) }
        return lines
    }
}
