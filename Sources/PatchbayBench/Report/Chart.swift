import Glibc

/// Cost against delay as SVG: one panel for each pair of rates, one for the codecs. Both axes are logarithmic; what is near
/// the lower left corner is better.
public struct Chart: Sendable {
    struct Point {
        var name: String
        /// In milliseconds.
        var delay: Double
        /// In µs for 20 ms.
        var cost: Double
        var isClean: Bool
    }

    struct Panel {
        var title: String
        var points: [Point]
    }

    private let panels: [Panel]

    public init(_ report: BenchReport) {
        var panels: [Panel] = []
        for row in report.rows where row.family != .vad {
            // Whatever a stored run says, the axes have room for what a machine can measure.
            guard let cost = row.cost?.cpu, let delay = row.delayMeasured, (1e-6...1e9).contains(cost), abs(delay) < 1e9
            else { continue }
            let isResampler = row.family == .resampler
            let title = isResampler ? "\(row.family.plural) \(row.path) Hz" : row.family.plural
            let point = Point(
                name: isResampler ? row.name : "\(row.name) \(row.path)", delay: max(0, delay), cost: cost,
                isClean: !isResampler || row.isClean)
            if let index = panels.firstIndex(where: { $0.title == title }) {
                panels[index].points.append(point)
            } else {
                panels.append(Panel(title: title, points: [point]))
            }
        }
        self.panels = panels
    }

    private static let width = 620.0
    private static let height = 430.0
    private static let plot = (left: 58.0, top: 34.0, right: 600.0, bottom: 380.0)

    /// The whole document.
    public var svg: String {
        let columns = min(2, max(1, panels.count))
        let lines = (panels.count + columns - 1) / columns
        let size = (Double(columns) * Self.width, Double(max(1, lines)) * Self.height + 30)
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(fixed(size.0, 0)) \(fixed(size.1, 0))" \
            font-family="sans-serif" font-size="11" fill="#222">
            <rect width="100%" height="100%" fill="#fff"/>

            """
        for (index, panel) in panels.enumerated() {
            let x = Double(index % columns) * Self.width
            let y = Double(index / columns) * Self.height
            text += "<g transform=\"translate(\(fixed(x, 0)),\(fixed(y, 0)))\">\n\(draw(panel))</g>\n"
        }
        text += """
            <g transform="translate(58,\(fixed(size.1 - 14, 0)))"><circle cx="0" cy="-4" r="4" fill="#1a6fb0"/>\
            <text x="9">codec, or resampler with images 60 dB down and level treble</text>\
            <circle cx="370" cy="-4" r="3.5" fill="#fff" stroke="#b0561a" stroke-width="1.5"/>\
            <text x="379">images or lost treble</text></g>
            </svg>

            """
        return text
    }

    private func draw(_ panel: Panel) -> String {
        let plot = Self.plot
        // Under ten microseconds nobody waits: the axis of delays begins there, and none is drawn at its edge.
        let delays = Axis(panel.points.map { max(0.01, $0.delay) }, plot.left, plot.right)
        let costs = Axis(panel.points.map(\.cost), plot.bottom, plot.top)
        var text =
            "<text x=\"\(plot.left)\" y=\"20\" font-size=\"14\" font-weight=\"bold\">\(escaped(panel.title))</text>\n"
        for tick in delays.ticks {
            let x = fixed(delays.place(tick), 1)
            let label = tick <= 0.01 ? "≤0.01" : plain(tick)
            text += "<line x1=\"\(x)\" x2=\"\(x)\" y1=\"\(plot.top)\" y2=\"\(plot.bottom)\" stroke=\"#e4e4e4\"/>"
            text += "<text x=\"\(x)\" y=\"\(plot.bottom + 16)\" text-anchor=\"middle\" fill=\"#666\">\(label)</text>\n"
        }
        for tick in costs.ticks {
            let y = fixed(costs.place(tick), 1)
            text += "<line x1=\"\(plot.left)\" x2=\"\(plot.right)\" y1=\"\(y)\" y2=\"\(y)\" stroke=\"#e4e4e4\"/>"
            text +=
                "<text x=\"\(plot.left - 6)\" y=\"\(y)\" dy=\"4\" text-anchor=\"end\" fill=\"#666\">\(plain(tick))</text>\n"
        }
        text +=
            "<text x=\"\((plot.left + plot.right) / 2)\" y=\"\(plot.bottom + 34)\" text-anchor=\"middle\">delay, ms</text>\n"
        text +=
            "<text transform=\"translate(14,\((plot.top + plot.bottom) / 2)) rotate(-90)\" text-anchor=\"middle\">CPU for 20 ms, µs</text>\n"
        let places = panel.points.map { (x: delays.place(max(0.01, $0.delay)), y: costs.place($0.cost)) }
        var taken = places.map { Box(x: $0.x - 5, y: $0.y - 5, width: 10, height: 10) }
        for (point, place) in zip(panel.points, places) {
            let colour = point.isClean ? "#1a6fb0" : "#b0561a"
            text += "<circle cx=\"\(fixed(place.x, 1))\" cy=\"\(fixed(place.y, 1))\" r=\"\(point.isClean ? 4 : 3.5)\" "
            text += point.isClean ? "fill=\"\(colour)\"/>" : "fill=\"#fff\" stroke=\"\(colour)\" stroke-width=\"1.5\"/>"
            let box = Self.room(for: point.name, at: place, &taken)
            let middle = box.y + box.height / 2
            if abs(middle - place.y) > 9 {
                let edge = box.x > place.x ? box.x - 1 : min(place.x, box.x + box.width)
                text += "<line x1=\"\(fixed(place.x, 1))\" y1=\"\(fixed(place.y, 1))\" x2=\"\(fixed(edge, 1))\" "
                text += "y2=\"\(fixed(middle, 1))\" stroke=\"#bbb\" stroke-width=\"0.7\"/>"
            }
            text += "<text x=\"\(fixed(box.x, 1))\" y=\"\(fixed(box.y + 10, 1))\">\(escaped(point.name))</text>\n"
        }
        return text
    }

    private struct Box {
        var x, y, width, height: Double

        func overlaps(_ other: Box) -> Bool {
            x < other.x + other.width && other.x < x + width && y < other.y + other.height && other.y < y + height
        }
    }

    /// The free place nearest to a point: right of it, left of it, then line by line away from it.
    private static func room(for name: String, at point: (x: Double, y: Double), _ taken: inout [Box]) -> Box {
        let width = Double(name.count) * 5.9
        var first: Box?
        for distance in 0..<24 {
            for vertical in distance == 0 ? [0.0] : [-7.0 * Double(distance), 7.0 * Double(distance)] {
                for x in [point.x + 8, point.x - 8 - width] {
                    let box = Box(x: x, y: point.y - 6 + vertical, width: width, height: 12)
                    first = first ?? box
                    let isInside =
                        box.x >= plot.left && box.x + width <= Self.width && box.y >= plot.top
                        && box.y + 12 <= plot.bottom
                    guard isInside, !taken.contains(where: box.overlaps) else { continue }
                    taken.append(box)
                    return box
                }
            }
        }
        return first ?? Box(x: point.x + 8, y: point.y - 6, width: width, height: 12)
    }

    /// A logarithmic axis over whole decades.
    private struct Axis {
        private let low: Double
        private let high: Double
        private let begin: Double
        private let end: Double

        init(_ values: [Double], _ begin: Double, _ end: Double) {
            let lowest = log10(values.min() ?? 1).rounded(.down)
            low = lowest
            high = max(lowest + 1, log10(values.max() ?? 1).rounded(.up))
            (self.begin, self.end) = (begin, end)
        }

        var ticks: [Double] { (0...Int(high - low)).map { pow(10, low + Double($0)) } }
        func place(_ value: Double) -> Double { begin + (end - begin) * (log10(value) - low) / (high - low) }
    }

    private func plain(_ value: Double) -> String {
        value >= 1 ? fixed(value, 0) : fixed(value, Int((-log10(value)).rounded(.up)))
    }

    private func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.append(character)
            }
        }
    }
}
