/// A fenced block of JSON in a Markdown file.
struct MarkdownBlock {
    /// The block's lines at their places: everything before them is empty lines, and what the containers of the block
    /// put in front of its lines is blank. So the positions of a finding are those of the Markdown file.
    var source: SourceText
    /// The line of the opening fence, from 1.
    var line: Int

    /// Whether there is nothing in it.
    var isBlank: Bool { source.bytes.allSatisfy { $0 <= 0x20 } }
}

extension SourceText {
    /// Blocks that are read in one file.
    static let maximumBlocks = 256

    /// The fenced blocks whose info string says `json`, without those that say `json ignore`.
    ///
    /// Fences are found as CommonMark 0.31 §4.5 says: of backticks or tildes, at least three, indented by at most three
    /// spaces within their list item or block quote, closed by a fence that is at least as long or by the end of what
    /// holds them. Fences in HTML blocks are none (§4.6). At most ``maximumBlocks`` are given.
    func jsonBlocks() -> [MarkdownBlock] {
        var scanner = MarkdownScanner()
        var blocks: [MarkdownBlock] = []
        var lines: [UInt8]?
        var opening = 0
        func close() {
            guard let content = lines else { return }
            // An excerpt shows the line as it is, without the next one.
            let bytes = [UInt8](repeating: 0x0A, count: opening + 1) + content
            blocks.append(MarkdownBlock(source: SourceText(file: file, bytes: bytes), line: opening + 1))
            lines = nil
        }
        for index in lineStarts.indices {
            let end = index + 1 < lineStarts.count ? lineStarts[index + 1] : bytes.count
            let line = bytes[lineStarts[index]..<end]
            switch scanner.read(line) {
            case .opening(let info):
                close()
                guard blocks.count < Self.maximumBlocks else { return blocks }
                let words = info.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "," })
                if words.first?.lowercased() == "json", !words.dropFirst().contains("ignore") {
                    lines = []
                    opening = index
                }
            case .content(let prefix):
                guard lines != nil else { break }
                lines?.append(contentsOf: line.prefix(prefix).map { $0 == 0x09 ? $0 : 0x20 })
                lines?.append(contentsOf: line.dropFirst(prefix))
            case .closing, .other: close()
            }
        }
        close()
        return blocks
    }
}
