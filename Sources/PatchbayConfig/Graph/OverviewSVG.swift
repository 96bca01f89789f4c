import PatchbayCore

extension PipelineOverview {
    /// The pipelines of a folder as a drawing: numbers at the left, pipelines with their rules, and at the right where
    /// the rules lead.
    public var svg: String {
        var canvas = SVGCanvas()
        let cards = pipelines.map { PipelineCard($0) }
        let numbersWidth = max(120, cards.map(\.numbersWidth).max() ?? 0)
        let cardWidth = max(320, cards.map(\.width).max() ?? 0)
        let left = SVGLayout.margin + numbersWidth + 46
        var tops: [String: Double] = [:]
        var y = 84.0
        for card in cards {
            tops[card.outline.name] = y
            y += card.height + 26
        }
        let links = self.links
        let width = left + cardWidth + 40 + Double(links.count) * 12 + SVGLayout.margin
        canvas.text("Pipelines", "title ink", x: SVGLayout.margin, y: 44)
        canvas.text("numbers", "small faint", x: SVGLayout.margin, y: 70)
        canvas.text("who answers, and which rules come first", "small faint", x: left, y: 70)
        for card in cards {
            guard let top = tops[card.outline.name] else { continue }
            card.draw(
                on: &canvas, numbersX: SVGLayout.margin, numbersWidth: numbersWidth, x: left, y: top, width: cardWidth)
        }
        for (lane, link) in links.enumerated() {
            guard let from = cards.first(where: { $0.outline.name == link.from }), let top = tops[link.from],
                let target = tops[link.to]
            else { continue }
            let (x, y1, y2) = (left + cardWidth, top + from.ruleOffset(link.rule), target + 21 + Double(link.order) * 5)
            let bend = x + 26 + Double(lane) * 12
            canvas.path(
                "rule",
                "M\(x.places(1)) \(y1.places(1))H\((bend - 8).places(1))Q\(bend.places(1)) \(y1.places(1)) "
                    + "\(bend.places(1)) \((y1 + (y2 > y1 ? 8 : -8)).places(1))V\((y2 + (y2 > y1 ? -8 : 8)).places(1))"
                    + "Q\(bend.places(1)) \(y2.places(1)) \((bend - 8).places(1)) \(y2.places(1))H\((x + 7).places(1))")
            canvas.head("rulehead", x: x, y: y2, isRight: false)
        }
        return canvas.document(
            width: width, height: y + 4, title: "\(pipelines.count) pipelines",
            description: text(width: 400).split(separator: "\n").joined(separator: "; "))
    }

    /// Rules that lead to another pipeline of the set.
    private var links: [(from: String, rule: Int, to: String, order: Int)] {
        var arrived: [String: Int] = [:]
        var links: [(from: String, rule: Int, to: String, order: Int)] = []
        for outline in pipelines {
            for (index, rule) in outline.rules.enumerated() {
                guard case .pipeline(let name) = rule.outcome else { continue }
                links.append((outline.name, index, name, arrived[name, default: 0]))
                arrived[name, default: 0] += 1
            }
        }
        return links
    }
}

/// One pipeline of the overview.
private struct PipelineCard {
    private static let rowHeight = 20.0
    let outline: PipelineOutline
    private let numbers: [String]
    private let rules: [[String]]
    private let routes: [[String]]

    init(_ outline: PipelineOutline) {
        self.outline = outline
        let shown = outline.numbers.prefix(5)
        numbers = shown + (outline.numbers.count > 5 ? ["and \(outline.numbers.count - 5) more"] : [])
        rules = outline.rules.map { "\($0.condition) → \($0.outcome.words)".lines(width: 500, size: 11, limit: 3) }
        routes = outline.chains.prefix(4).map { chain in
            let condition = chain.conditions.isEmpty ? "" : chain.conditions.joined(separator: " and ") + ":  "
            return (condition + outline.route(of: chain)).lines(width: 500, size: 11, limit: 3)
        }
    }

    var numbersWidth: Double { (numbers.map { $0.pixels(12) }.max() ?? 0) + 28 }

    var width: Double {
        let lines = (rules + routes).flatMap { $0 } + [outline.summary ?? ""]
        return min(560, (lines.map { $0.pixels(11) }.max() ?? 0) + 52)
    }

    private var summary: String { (outline.summary ?? "").cut(to: 500, size: 12) }
    private var top: Double { 34 + (summary.isEmpty ? 0 : Self.rowHeight) }

    var height: Double {
        let rows = rules.joined().count + routes.joined().count
        return max(top + Double(rows) * Self.rowHeight + 12, Double(numbers.count) * Self.rowHeight + 12)
    }

    /// Where the line of a rule begins.
    func ruleOffset(_ index: Int) -> Double {
        top + (Double(rules.prefix(index + 1).joined().count) - 0.5) * Self.rowHeight
    }

    func draw(
        on canvas: inout SVGCanvas, numbersX: Double, numbersWidth: Double, x: Double, y: Double, width: Double
    ) {
        let numbersHeight = Double(max(1, numbers.count)) * Self.rowHeight + 12
        let line = y + min(numbersHeight, height) / 2
        if numbers.isEmpty {
            canvas.text("only by rules", "small faint", x: numbersX + numbersWidth, y: y + 25, anchor: .end)
        } else {
            canvas.box("carrier", x: numbersX, y: y, width: numbersWidth, height: numbersHeight)
            for (index, number) in numbers.enumerated() {
                canvas.text(number, "ink", x: numbersX + 14, y: y + 20 + Double(index) * Self.rowHeight)
            }
            canvas.arrow("line", head: "head", from: numbersX + numbersWidth, to: x, y: line)
        }
        canvas.box("box", x: x, y: y, width: width, height: height)
        canvas.text(outline.name, "name ink", x: x + 16, y: y + 24)
        let latency = outline.chains.map(\.latency.total).max() ?? .zero
        canvas.text("\(latency.inTenths) ms", "small faint", x: x + width - 14, y: y + 24, anchor: .end)
        if !summary.isEmpty { canvas.text(summary, "small soft", x: x + 16, y: y + 44) }
        var row = y + top + 14
        for (style, lists) in [("small amber", rules), ("small joint", routes)] {
            for list in lists {
                for (index, line) in list.enumerated() {
                    canvas.text(line, style, x: x + (index == 0 ? 16 : 30), y: row)
                    row += Self.rowHeight
                }
            }
        }
    }
}
