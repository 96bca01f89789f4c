import Foundation
import Patchbay
import Testing

/// The table of metrics in the documentation is that of the code, to the letter.
@Suite struct OperationsTests {
    @Test func theTableOfMetricsIsThatOfTheCode() throws {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/Patchbay/Patchbay.docc/Operations.md")
        let rows = try String(contentsOf: page, encoding: .utf8).split(separator: "\n")
            .filter { $0.hasPrefix("| `patchbay_") || $0.hasPrefix("| `process_") }.map(String.init)
        let metrics = PrometheusMetrics()
        metrics.describe(RecordingMetrics.all)
        let expected = metrics.descriptions.map { metric in
            let kind =
                switch metric.kind {
                case .counter: "counter"
                case .gauge: "gauge"
                case .histogram: "histogram"
                }
            let labels = metric.labels.map { "`\($0)`" }.joined(separator: ", ")
            return "| `\(metric.name)` | \(kind) |\(labels.isEmpty ? "" : " \(labels)") | \(metric.help) |"
        }
        #expect(rows == expected)
    }
}
