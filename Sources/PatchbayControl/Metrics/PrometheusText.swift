import PatchbayCore

/// Prometheus' text format, version 0.0.4.
enum PrometheusText {
    static func print(
        _ families: [String: PrometheusMetrics.Family], _ descriptions: [String: MetricDescription]
    ) -> String {
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            if let help = descriptions[name]?.help { text += "# HELP \(name) \(escapedHelp(help))\n" }
            text += "# TYPE \(name) \(family.kind.name)\n"
            for (labels, cell) in family.cells.sorted(by: { $0.key < $1.key }) { add(name, labels, cell, to: &text) }
        }
        return text
    }

    private static func add(_ name: String, _ labels: String, _ cell: PrometheusCell, to text: inout String) {
        let value = cell.value
        let own = labels.isEmpty ? "" : "{\(labels)}"
        switch cell.kind {
        case .counter, .gauge:
            text += "\(name)\(own) \(number(value.sum))\n"
        case .summary:
            text += "\(name)_sum\(own) \(number(value.sum))\n\(name)_count\(own) \(value.count)\n"
        case .histogram(let limits):
            let before = labels.isEmpty ? "" : "\(labels),"
            var count: Int64 = 0
            for (limit, entries) in zip(limits, value.ranges) {
                count += entries
                text += "\(name)_bucket{\(before)le=\"\(number(limit))\"} \(count)\n"
            }
            text += "\(name)_bucket{\(before)le=\"+Inf\"} \(value.count)\n"
            text += "\(name)_sum\(own) \(number(value.sum))\n\(name)_count\(own) \(value.count)\n"
        }
    }

    /// Whole numbers without a point, so that they read as what they are.
    static func number(_ value: Double) -> String {
        if let whole = Int64(exactly: value) { return "\(whole)" }
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return "\(value)"
    }

    /// What the format takes for a name: anything else becomes an underscore.
    static func name(_ text: String) -> String { named(text, allowing: ":") }

    private static func named(_ text: String, allowing other: Character?) -> String {
        let name = String(
            text.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == other) ? $0 : "_" })
        return name.first?.isNumber ?? true ? "_\(name)" : name
    }

    /// Labels as they stand between the braces, in the order of their names.
    static func labels(_ dimensions: [(String, String)]) -> String {
        var labels: [String: String] = [:]
        for (key, value) in dimensions {
            var name = named(key, allowing: nil)
            // `le` belongs to the ranges of histograms, two underscores to Prometheus itself.
            while name.hasPrefix("__") { name.removeFirst() }
            if name == "le" { name = "le_" }
            labels[name] = escaped(String(value.prefix(PrometheusMetrics.maximumLabelLength)))
        }
        return labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"" }.joined(separator: ",")
    }

    private static func escaped(_ text: String) -> String {
        escapedHelp(text).replacing("\"", with: "\\\"")
    }

    /// A carriage return alone is no end of a line to Prometheus, and is one to others.
    private static func escapedHelp(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\r\n", with: "\\n").replacing("\n", with: "\\n")
            .replacing("\r", with: "\\n")
    }
}
