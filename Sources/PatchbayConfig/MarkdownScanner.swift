/// Reads Markdown line by line, as far as is needed to know its fenced blocks.
struct MarkdownScanner {
    enum Line: Equatable {
        case opening(info: String)
        /// A line of a block, after so many bytes that belong to the block's containers.
        case content(prefix: Int)
        case closing
        case other
    }

    private enum Container {
        case quote
        /// A list item, by the column in which its content begins, relative to what holds the item.
        case item(indentation: Int)
    }

    private struct Fence {
        var byte: UInt8
        var length: Int
        /// The containers that hold it; it ends with the last of them.
        var depth: Int
    }

    private var containers: [Container] = []
    private var fence: Fence?
    /// The end of the HTML block that the line stands in.
    private var htmlEnd: String?
    /// Whether the line before was text, which may go on without the marks of its containers (§4.8).
    private var isInParagraph = false

    mutating func read(_ line: ArraySlice<UInt8>) -> Line {
        var cursor = LineCursor(line)
        let matched = matchContainers(&cursor)
        if let fence {
            if matched < fence.depth {
                self.fence = nil
                return readOutside(&cursor, matched)
            }
            let prefix = cursor.offset
            if closes(fence, cursor) {
                self.fence = nil
                return .closing
            }
            return .content(prefix: prefix)
        }
        return readOutside(&cursor, matched)
    }

    /// Consumes the marks of the containers that are still open.
    private func matchContainers(_ cursor: inout LineCursor) -> Int {
        for (index, container) in containers.enumerated() {
            switch container {
            case .quote:
                guard cursor.takeQuoteMark() else { return index }
            case .item(let indentation):
                if cursor.isBlank { continue }
                guard cursor.indentation >= indentation else { return index }
                cursor.skip(columns: indentation)
            }
        }
        return containers.count
    }

    private mutating func readOutside(_ cursor: inout LineCursor, _ matched: Int) -> Line {
        if let end = htmlEnd {
            if cursor.rest.lowercased().contains(end) { htmlEnd = nil }
            return .other
        }
        let start = cursor
        var opened: [Container] = []
        while let container = takeContainer(&cursor) { opened.append(container) }
        let isText = !cursor.isBlank && opened.isEmpty && openingFence(cursor) == nil
        // A line of text goes on with the paragraph of a container whose mark it lacks.
        if matched < containers.count, !(isText && isInParagraph) { containers.removeSubrange(matched...) }
        containers += opened
        isInParagraph = !cursor.isBlank
        if cursor.isBlank { return .other }
        if let (fence, info) = openingFence(cursor) {
            self.fence = fence
            isInParagraph = false
            return .opening(info: info)
        }
        if start.indentation < 4 || !opened.isEmpty { beginHTML(cursor) }
        return .other
    }

    /// A block quote's `>` or a list item's mark (§5.1, §5.2).
    private func takeContainer(_ cursor: inout LineCursor) -> Container? {
        guard cursor.indentation <= 3 else { return nil }
        if cursor.takeQuoteMark() { return .quote }
        return cursor.takeListMark().map { .item(indentation: $0) }
    }

    private func openingFence(_ cursor: LineCursor) -> (Fence, info: String)? {
        guard cursor.indentation <= 3, let (byte, length) = cursor.fenceRun, length >= 3 else { return nil }
        let info = String(cursor.rest.drop { $0 == " " || $0 == "\t" }.dropFirst(length))
            .trimmingSpaces
        // A backtick in the info string makes it code in a line of text.
        guard byte != UInt8(ascii: "`") || !info.contains("`") else { return nil }
        return (Fence(byte: byte, length: length, depth: containers.count), info)
    }

    private func closes(_ fence: Fence, _ cursor: LineCursor) -> Bool {
        guard cursor.indentation <= 3, let (byte, length) = cursor.fenceRun else { return false }
        return byte == fence.byte && length >= fence.length
            && cursor.rest.trimmingSpaces.utf8.allSatisfy { $0 == byte }
    }

    /// Comments, and elements whose content is no Markdown (§4.6, kinds 1 and 2).
    private mutating func beginHTML(_ cursor: LineCursor) {
        let text = cursor.rest.trimmingSpaces.lowercased()
        guard text.hasPrefix("<") else { return }
        var end: String?
        if text.hasPrefix("<!--") {
            end = "-->"
        } else if let tag = ["pre", "script", "style", "textarea"].first(where: { text.hasPrefix("<" + $0) }) {
            end = "</\(tag)>"
        }
        if let end, !text.contains(end) { htmlEnd = end }
    }
}

/// A place in a line, with columns counted as Markdown does: a tab leads to the next multiple of four (§2.2).
private struct LineCursor {
    private let line: ArraySlice<UInt8>
    private(set) var offset = 0
    private var column = 0
    /// Columns of a tab that are not used up yet.
    private var partial = 0

    init(_ line: ArraySlice<UInt8>) { self.line = line }

    private func byte(_ index: Int) -> UInt8? {
        let place = line.startIndex + index
        return place < line.endIndex ? line[place] : nil
    }

    /// The white space before the next character, in columns.
    var indentation: Int {
        var width = partial
        var column = column + partial
        var index = offset
        while let byte = byte(index), byte == 0x20 || byte == 0x09 {
            let step = byte == 0x20 ? 1 : 4 - column % 4
            width += step
            column += step
            index += 1
        }
        return width
    }

    var isBlank: Bool { line.dropFirst(offset).allSatisfy { $0 <= 0x20 } }

    var rest: String { String(decoding: line.dropFirst(offset), as: UTF8.self) }

    /// The run of backticks or tildes after the white space.
    var fenceRun: (byte: UInt8, length: Int)? {
        let rest = line.dropFirst(offset).drop { $0 == 0x20 || $0 == 0x09 }
        guard let first = rest.first, first == UInt8(ascii: "`") || first == UInt8(ascii: "~") else { return nil }
        return (first, rest.prefix { $0 == first }.count)
    }

    mutating func skip(columns: Int) {
        var left = columns
        let used = min(partial, left)
        partial -= used
        column += used
        left -= used
        while left > 0, let byte = byte(offset), byte == 0x20 || byte == 0x09 {
            let step = byte == 0x20 ? 1 : 4 - column % 4
            offset += 1
            partial = max(0, step - left)
            column += min(step, left)
            left -= min(step, left)
        }
    }

    mutating func takeQuoteMark() -> Bool {
        guard indentation <= 3 else { return false }
        var next = self
        next.skip(columns: indentation)
        guard next.byte(next.offset) == UInt8(ascii: ">") else { return false }
        next.offset += 1
        next.column += 1
        next.skip(columns: min(1, next.indentation))
        self = next
        return true
    }

    /// Takes `-`, `+`, `*`, `1.` or `1)` with the space behind it.
    ///
    /// - Returns: The width of mark and spaces, which the item's other lines are indented by.
    mutating func takeListMark() -> Int? {
        let indent = indentation
        guard indent <= 3 else { return nil }
        var next = self
        next.skip(columns: indent)
        let start = next.offset
        if let byte = next.byte(start), "-+*".utf8.contains(byte) {
            next.offset += 1
        } else {
            while next.offset - start < 9, let byte = next.byte(next.offset), byte.isDigit { next.offset += 1 }
            guard next.offset > start, let byte = next.byte(next.offset),
                byte == UInt8(ascii: ".") || byte == UInt8(ascii: ")")
            else { return nil }
            next.offset += 1
        }
        let width = next.offset - start
        next.column += width
        if next.isBlank {
            self = next
            return indent + width + 1
        }
        let spaces = next.indentation
        guard spaces > 0 else { return nil }
        // More than four are the indentation of code within the item.
        let taken = spaces > 4 ? 1 : spaces
        next.skip(columns: taken)
        self = next
        return indent + width + taken
    }
}

extension StringProtocol {
    /// Without white space at both ends.
    fileprivate var trimmingSpaces: String {
        var view = self.unicodeScalars[...]
        while let first = view.first, first.value <= 0x20 { view.removeFirst() }
        while let last = view.last, last.value <= 0x20 { view.removeLast() }
        return String(String.UnicodeScalarView(view))
    }
}
