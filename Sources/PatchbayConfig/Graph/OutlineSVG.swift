import PatchbayCore

extension PipelineOutline {
    /// The pipeline as a drawing: the caller's way to the agent above, the agent's way back below. One file that needs
    /// no other, readable on light and on dark pages.
    public var svg: String {
        var canvas = SVGCanvas()
        let drawings = chains.map { ChainDrawing(self, $0) }
        let width = max(640, drawings.map(\.width).max() ?? 0) + 2 * SVGLayout.margin
        var y = drawHeader(on: &canvas, width: width)
        y = drawRules(on: &canvas, width: width, y: y)
        for (chain, drawing) in zip(chains, drawings) {
            if !chain.conditions.isEmpty {
                canvas.text(
                    "where " + chain.conditions.joined(separator: " and "), "name amber", x: SVGLayout.margin, y: y + 18
                )
                y += 34
            }
            drawing.draw(on: &canvas, x: SVGLayout.margin, y: y, width: width - 2 * SVGLayout.margin)
            y += drawing.height + 22
            y = drawLatency(of: chain, on: &canvas, y: y) + 26
        }
        return canvas.document(
            width: width, height: y - 4, title: "Pipeline \(name)", description: spoken)
    }

    /// What the drawing shows, in sentences.
    private var spoken: String {
        var sentences: [String] = []
        if let summary { sentences.append(summary.hasSuffix(".") ? summary : summary + ".") }
        if !numbers.isEmpty { sentences.append("Answers \(numbers.shortList(12)).") }
        for rule in rules { sentences.append("When \(rule.condition): \(rule.outcome.words).") }
        for chain in chains {
            let condition = chain.conditions.isEmpty ? "" : "Where \(chain.conditions.joined(separator: " and ")): "
            sentences.append("\(condition)\(route(of: chain)), \(chain.latency.total.inTenths) ms.")
        }
        return sentences.joined(separator: " ")
    }

    private func drawHeader(on canvas: inout SVGCanvas, width: Double) -> Double {
        let x = SVGLayout.margin
        canvas.text(name, "title ink", x: x, y: 44)
        canvas.text("\(file)  ·  \(version)", "small faint", x: width - x, y: 42, anchor: .end)
        var y = 44.0
        for line in (summary ?? "").lines(width: width - 2 * x, limit: 3) {
            y += 20
            canvas.text(line, "soft", x: x, y: y)
        }
        for line in numbers.shortList(8).lines(width: width - 2 * x, limit: 2) {
            y += 20
            canvas.text(line, "joint", x: x, y: y)
        }
        return y + 26
    }

    private func drawRules(on canvas: inout SVGCanvas, width: Double, y top: Double) -> Double {
        guard !rules.isEmpty else { return top }
        let x = SVGLayout.margin
        let inner = width - 2 * x - 32
        let rows = rules.map { rule in
            (
                words: "\(rule.condition) → \(rule.outcome.words)".lines(width: inner - 20, limit: 3),
                alternative: (rule.alternative ?? "").lines(width: inner - 20, size: 11, limit: 2)
            )
        }
        let height = 34 + Double(rows.reduce(0) { $0 + $1.words.count + $1.alternative.count }) * 18 + 8
        canvas.box("group", x: x, y: top, width: width - 2 * x, height: height)
        canvas.text("when", "name amber", x: x + 16, y: top + 22)
        canvas.text("the first rule that holds decides", "small faint", x: x + 62, y: top + 22)
        var y = top + 42.0
        for (index, row) in rows.enumerated() {
            canvas.text("\(index + 1)", "soft", x: x + 16, y: y)
            for (style, lines) in [("ink", row.words), ("small joint", row.alternative)] {
                for line in lines {
                    canvas.text(line, style, x: x + 36, y: y)
                    y += 18
                }
            }
        }
        return top + height + 28
    }

    /// A bar of the parts of the latency, to scale, and its legend.
    private func drawLatency(of chain: Chain, on canvas: inout SVGCanvas, y: Double) -> Double {
        let latency = chain.latency
        let start = SVGLayout.margin
        let length = 220.0
        let whole = max(latency.total.inMilliseconds, Double(latencyBudgetMs ?? 0), 0.001)
        let parts = [
            (latency.framing, "bar1", "framing"), (latency.toAgent, "bar2", "to the agent"),
            (latency.agent, "bar3", "at the agent"), (latency.toCaller, "bar4", "to the caller"),
        ].filter { $0.0 > .zero }
        var words = "\(latency.total.inTenths) ms both ways"
        if let latencyBudgetMs { words += ", of \(latencyBudgetMs)" }
        canvas.box("chip", x: start, y: y, width: length, height: 8, radius: 2)
        var place = start
        var x = start + length + 14
        canvas.text(words, "small ink", x: x, y: y + 8)
        x += words.pixels(11) + 12
        for (span, style, name) in parts {
            let part = max(1.5, length * span.inMilliseconds / whole)
            canvas.box(style, x: place, y: y, width: min(part, start + length - place), height: 8, radius: 2)
            place = min(place + part, start + length)
            canvas.box(style, x: x, y: y, width: 8, height: 8, radius: 2)
            let label = "\(span.inTenths) \(name)"
            canvas.text(label, "small soft", x: x + 13, y: y + 8)
            x += label.pixels(11) + 26
        }
        return y + 8
    }
}

/// Measures that the drawings share, in pixels.
enum SVGLayout {
    static let margin = 28.0
    /// Height of a stage's box.
    static let boxHeight = 44.0
    /// Height of a stage's box beside the main chain.
    static let chipHeight = 28.0
    /// Between two boxes when the joint needs no words.
    static let gap = 28.0
}
