/// The keys of a page as a table whose cells are wrapped.
struct SpecTable {
    private static let headings = SpecPage.Row(
        name: "setting", value: "value", fallback: "default", meaning: "meaning")
    /// Widest column of values, and of defaults; what is longer is wrapped.
    private static let widestValue = 24
    private static let widestFallback = 20
    /// Where less is left for the meaning, it goes below the key.
    private static let narrowestMeaning = 30

    private let rows: [SpecPage.Row]
    private let width: Int

    init(_ rows: [SpecPage.Row], width: Int) {
        self.rows = rows
        self.width = width
    }

    /// The width of a column: that of its longest cell up to a limit, and never less than its longest word.
    private static func column(_ cells: [String], _ limit: Int) -> Int {
        let words = cells.flatMap { $0.split(separator: " ") }.map(\.unicodeScalars.count).max() ?? 0
        return max(words, min(limit, cells.map(\.unicodeScalars.count).max() ?? 0))
    }

    var text: String {
        let all = [Self.headings] + rows
        let names = all.map(\.name.unicodeScalars.count).max() ?? 0
        let values = Self.column(all.map(\.value), Self.widestValue)
        let fallbacks = Self.column(all.map(\.fallback), Self.widestFallback)
        let columns = [names, values, fallbacks]
        let beside = 2 + columns.reduce(0) { $0 + $1 + 2 }
        let isBeside = width - beside >= Self.narrowestMeaning
        var text = ""
        for row in all {
            var cells = [
                [row.name], wrapped(row.value, width: values), wrapped(row.fallback, width: fallbacks),
            ]
            if isBeside { cells.append(wrapped(row.meaning, width: width - beside)) }
            for line in 0..<(cells.map(\.count).max() ?? 0) {
                var words = "  "
                for (index, cell) in cells.enumerated() {
                    let part = line < cell.count ? cell[line] : ""
                    words += index < columns.count ? part.padded(to: columns[index]) + "  " : part
                }
                text += words.trimmedAtEnd + "\n"
            }
            if !isBeside, row.name != Self.headings.name {
                for line in wrapped(row.meaning, width: max(width - 6, 20)) { text += "      \(line)\n" }
            }
        }
        return text
    }
}

/// The words of a text in lines of at most `width` columns; a word that is longer has a line of its own.
///
/// Spaces at the beginning stay, several between words become one where a line breaks.
///
/// - Parameter hanging: How far the lines after the first are indented.
func wrapped(_ text: String, width: Int, hanging: Int = 0) -> [String] {
    var lines: [String] = []
    var line = ""
    var space = ""
    var word = ""
    func finishWord() {
        guard !word.isEmpty else { return }
        let isFirst = line.allSatisfy { $0 == " " }
        if isFirst || line.unicodeScalars.count + space.unicodeScalars.count + word.unicodeScalars.count <= width {
            line += space + word
        } else {
            lines.append(line)
            line = String(repeating: " ", count: hanging) + word
        }
        space = ""
        word = ""
    }
    for character in text {
        if character == " " {
            finishWord()
            space.append(" ")
        } else {
            word.append(character)
        }
    }
    finishWord()
    return lines + [line]
}

extension String {
    /// With spaces behind it, so that it takes `width` columns.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - unicodeScalars.count)) }

    /// Without spaces at its end.
    var trimmedAtEnd: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
