import Foundation
import Patchbay
import PatchbaySimulators

/// What a call was like, for the person who made it.
struct CallSummary: Encodable {
    struct Segment: Encodable {
        var side: String
        var startMs, endMs: Int
    }

    var callSid: String
    /// Words the carrier spoke.
    var said: [String]
    var durationMs = 0
    var timeToFirstAudioMs: Int?
    var responseLatencyMs: [Int] = []
    var interruptionLatencyMs: [Int] = []
    var segments: [Segment] = []
    var refused: [String] = []
    var closeCode: Int?
    var closeReason: String?

    init(_ report: Phone.Report) {
        callSid = report.callSid
        said = report.said
        closeCode = report.closes.last.map { Int($0.code) }
        closeReason = report.closes.last.map(\.reason)
        guard let line = report.streams.last else { return }
        enter(CallTimeline(line))
        refused = line.events.compactMap { if case .refused(let reason) = $0.event { reason } else { nil } }
    }

    /// A call without a carrier.
    init(callSid: String, _ timeline: CallTimeline) {
        self.callSid = callSid
        said = []
        enter(timeline)
    }

    private mutating func enter(_ timeline: CallTimeline) {
        durationMs = timeline.duration
        timeToFirstAudioMs = timeline.timeToFirstAudio
        responseLatencyMs = timeline.responseLatencies
        interruptionLatencyMs = timeline.interruptionLatencies
        segments = timeline.segments.map { Segment(side: $0.side.rawValue, startMs: $0.start, endMs: $0.end) }
    }

    var text: String {
        var lines: [String] = []
        for words in said { lines.append("the carrier said: \(words)") }
        for segment in segments {
            let span = String(format: "%6.2f – %6.2f s", Double(segment.startMs) / 1000, Double(segment.endMs) / 1000)
            lines.append("  \(span)  \(segment.side.padded(to: 7))\(segment.bar(total: durationMs))")
        }
        for reason in refused { lines.append("  refused: \(reason)") }
        lines.append("time to first audio   \(Self.milliseconds(timeToFirstAudioMs.map { [$0] } ?? []))")
        lines.append("response latency      \(Self.milliseconds(responseLatencyMs))")
        lines.append("interruption latency  \(Self.milliseconds(interruptionLatencyMs))")
        return lines.joined(separator: "\n")
    }

    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }

    private static func milliseconds(_ values: [Int]) -> String {
        values.isEmpty ? "–" : values.map(String.init).joined(separator: ", ") + " ms"
    }
}

extension CallSummary.Segment {
    /// Where it lies in the call, drawn 60 columns wide.
    fileprivate func bar(total: Int) -> String {
        guard total > 0 else { return "" }
        let from = startMs * 60 / total
        let to = max(from + 1, endMs * 60 / total)
        return String(repeating: "·", count: from) + String(repeating: "█", count: to - from)
            + String(repeating: "·", count: max(0, 60 - to))
    }
}
