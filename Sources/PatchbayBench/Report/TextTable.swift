/// Cells in columns, for terminals and for Markdown.
public struct TextTable: Sendable {
    public struct Column: Sendable {
        public var title: String
        public var isRight: Bool

        public init(_ title: String, isRight: Bool = true) {
            self.title = title
            self.isRight = isRight
        }
    }

    public var columns: [Column]
    public var rows: [[String]] = []

    public init(_ columns: [Column]) { self.columns = columns }

    /// Without the columns in which no row says anything.
    public var compact: TextTable {
        let used = columns.indices.filter { index in rows.contains { index < $0.count && !$0[index].isEmpty } }
        var table = TextTable(used.map { columns[$0] })
        table.rows = rows.map { row in used.map { $0 < row.count ? row[$0] : "" } }
        return table
    }

    /// Columns two spaces apart, the heading first; no trailing spaces.
    public var text: String {
        let widths = columns.indices.map { index in
            rows.reduce(columns[index].title.count) { max($0, index < $1.count ? $1[index].count : 0) }
        }
        let line = { (cells: [String]) -> String in
            var line = ""
            for (index, column) in columns.enumerated() {
                let cell = index < cells.count ? cells[index] : ""
                let space = String(repeating: " ", count: widths[index] - cell.count)
                line += (index == 0 ? "" : "  ") + (column.isRight ? space + cell : cell + space)
            }
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
        return ([line(columns.map(\.title))] + rows.map(line)).joined(separator: "\n")
    }

    /// As GitHub's Markdown has it.
    public var markdown: String {
        let line = { (cells: [String]) in "| " + cells.joined(separator: " | ") + " |" }
        let rule = columns.map { $0.isRight ? "--:" : "---" }
        let body = rows.map { row in
            line(row.map { $0.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|") })
        }
        return ([line(columns.map(\.title)), line(rule)] + body).joined(separator: "\n")
    }
}

/// A number with so many digits behind the point, and a true minus sign's plain cousin.
func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return "–" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = (abs(value) * scale).rounded()
    // Beyond this the digits mean nothing and the integers could not hold them.
    guard scaled < 1e15, scale < 1e18 else { return "–" }
    let units = Int(scaled)
    let sign = value < 0 && units > 0 ? "-" : ""
    guard digits > 0 else { return "\(sign)\(units)" }
    let fraction = String(units % Int(scale))
    return "\(sign)\(units / Int(scale)).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
}

/// Microseconds with three digits that count.
func microseconds(_ value: Double) -> String { fixed(value, value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0) }
