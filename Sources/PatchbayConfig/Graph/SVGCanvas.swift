/// What the drawings are put together from: boxes, lines and words of SVG 1.1, with colours for light and dark.
struct SVGCanvas {
    private(set) var body = ""

    /// A whole document around the body. Self-contained: no scripts, no fonts, nothing from elsewhere.
    ///
    /// - Parameters:
    ///   - title: What it shows, in a few words; read aloud, and shown when a pointer rests.
    ///   - description: The same in full, for those who do not see it.
    func document(width: Double, height: Double, title: String, description: String) -> String {
        let (width, height) = (width.rounded(.up), height.rounded(.up))
        let size = "\(width.places(0)) \(height.places(0))"
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size)" width="\(width.places(0))" \
            height="\(height.places(0))" role="img" aria-labelledby="title description">
            <title id="title">\(Self.escaped(title))</title>
            <desc id="description">\(Self.escaped(description))</desc>
            <style>\(Self.style)</style>
            <rect class="page" width="100%" height="100%"/>
            \(body)</svg>

            """
    }

    private static let light = """
        .page{fill:#fbfaf8}.box{fill:#ffffff;stroke:#c9c4bb}.carrier{fill:#e9f1f8;stroke:#7ea6c8}\
        .agent{fill:#f6ecdc;stroke:#cfa25c}.inserted{fill:#f1f7ee;stroke:#7fa668}.group{fill:#f4f2ee;stroke:#d6d1c7}\
        .left{fill:none;stroke:#b9b4aa}.line{stroke:#8d867a}.head{fill:#8d867a}.side{stroke:#a59ab8}\
        .sidehead{fill:#a59ab8}\
        .ink{fill:#24221f}.soft{fill:#6a655c}.faint{fill:#767067}.joint{fill:#2f6690}.green{fill:#4a7434}\
        .amber{fill:#8a5a12}.chip{fill:#eceae5}.bar1{fill:#b8b2a7}.bar2{fill:#6f9fc6}.bar3{fill:#d9a95b}\
        .bar4{fill:#8fb57b}\
        .rule{stroke:#c48a3a}.rulehead{fill:#c48a3a}
        """

    private static let dark = """
        .page{fill:#16181c}.box{fill:#22252b;stroke:#454a54}.carrier{fill:#1d2c3a;stroke:#4d7496}\
        .agent{fill:#362b1a;stroke:#94733d}.inserted{fill:#202c1c;stroke:#5c7f49}.group{fill:#1b1e23;stroke:#383d46}\
        .left{fill:none;stroke:#50555f}.line{stroke:#7b818c}.head{fill:#7b818c}.side{stroke:#857aa3}\
        .sidehead{fill:#857aa3}\
        .ink{fill:#eceae6}.soft{fill:#aaa69e}.faint{fill:#858a94}.joint{fill:#8fbfe6}.green{fill:#9cc885}\
        .amber{fill:#e0b673}.chip{fill:#2c3038}.bar1{fill:#5a606b}.bar2{fill:#4d7da6}.bar3{fill:#a67d3a}\
        .bar4{fill:#638a4f}\
        .rule{stroke:#b98a45}.rulehead{fill:#b98a45}
        """

    private static let style = """
        text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;font-size:12px}\
        .name{font-size:13.5px;font-weight:600}.title{font-size:20px;font-weight:650}.small{font-size:11px}\
        .box,.carrier,.agent,.inserted,.group{stroke-width:1.2}.inserted{stroke-dasharray:4 3}\
        .left{stroke-width:1.2;stroke-dasharray:1.5 3.5;stroke-linecap:round}.struck{text-decoration:line-through}\
        .line,.rule{stroke-width:1.6;fill:none}.side{stroke-width:1.4;fill:none;stroke-dasharray:5 3}\
        \(light)@media (prefers-color-scheme:dark){\(dark)}
        """

    // MARK: Shapes

    mutating func box(_ style: String, x: Double, y: Double, width: Double, height: Double, radius: Double = 8) {
        body += "<rect class=\"\(style)\" x=\"\(x.places(1))\" y=\"\(y.places(1))\" width=\"\(width.places(1))\" "
        body += "height=\"\(height.places(1))\" rx=\"\(radius.places(1))\"/>\n"
    }

    mutating func text(_ words: String, _ style: String, x: Double, y: Double, anchor: Anchor = .start) {
        let place = anchor == .start ? "" : " text-anchor=\"\(anchor.rawValue)\""
        body +=
            "<text class=\"\(style)\" x=\"\(x.places(1))\" y=\"\(y.places(1))\"\(place)>\(Self.escaped(words))</text>\n"
    }

    enum Anchor: String { case start, middle, end }

    mutating func path(_ style: String, _ commands: String) { body += "<path class=\"\(style)\" d=\"\(commands)\"/>\n" }

    /// A level line with a head at its end.
    mutating func arrow(_ style: String, head: String, from x1: Double, to x2: Double, y: Double) {
        let step = x2 >= x1 ? -7.0 : 7.0
        path(style, "M\(x1.places(1)) \(y.places(1))H\((x2 + step).places(1))")
        self.head(head, x: x2, y: y, isRight: x2 >= x1)
    }

    mutating func head(_ style: String, x: Double, y: Double, isRight: Bool) {
        let step = isRight ? -8.0 : 8.0
        path(
            style,
            "M\(x.places(1)) \(y.places(1))l\(step.places(0)) -4.2v8.4z")
    }

    /// The words of a text as XML takes them; characters that XML 1.0 forbids become the replacement character.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\n", "\t": result += " "
            case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF: result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension String {
    /// About how wide the text is in a sans-serif font of `size` pixels. Made to be too wide rather than too narrow.
    func pixels(_ size: Double = 12, isBold: Bool = false) -> Double {
        var units = 0.0
        for scalar in unicodeScalars {
            switch scalar {
            case "i", "j", "l", "I", ".", ",", ":", ";", "'", "|", "!": units += 0.31
            case "f", "t", "r", " ", "(", ")", "[", "]", "-", "/", "·": units += 0.4
            case "m", "w", "M", "W", "—", "…", "%", "@": units += 0.93
            case "A"..."Z", "+", "=", "<", ">", "→", "±": units += 0.72
            case "a"..."z", "0"..."9": units += 0.61
            case _ where scalar.value > 0x2E80: units += 1.05
            default: units += 0.64
            }
        }
        return units * size * (isBold ? 1.07 : 1)
    }

    /// The beginning that fits into so many pixels.
    func cut(to width: Double, size: Double = 12) -> String {
        guard pixels(size) > width else { return self }
        var text = self
        while !text.isEmpty, (text + "…").pixels(size) > width { text.removeLast() }
        return text + "…"
    }

    /// The words in lines of so many pixels.
    func lines(width: Double, size: Double = 12, limit: Int = 8) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in split(separator: " ", omittingEmptySubsequences: true) {
            let longer = line.isEmpty ? String(word) : "\(line) \(word)"
            if longer.pixels(size) <= width || line.isEmpty {
                line = longer
            } else {
                lines.append(line)
                line = String(word)
            }
        }
        if !line.isEmpty { lines.append(line) }
        if lines.count > limit {
            lines = Array(lines.prefix(limit))
            lines[limit - 1] += " …"
        }
        return lines.map { $0.cut(to: width, size: size) }
    }
}

extension Double {
    /// With at most so many digits behind the point.
    func places(_ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        guard isFinite, abs(self) < 1e9 else { return "0" }
        return ((self * scale).rounded() / scale).plain
    }
}
