/// The bytes of one document, with the arithmetic of its lines.
public struct SourceText: Sendable {
    /// Longest document that is read, in bytes: 4 MiB, the numbers of some forty thousand tenants.
    public static let maximumBytes = 4 << 20

    /// The name used in diagnostics, as the user wrote it.
    public let file: String
    /// The text in UTF-8.
    public let bytes: [UInt8]
    /// Offset of the first byte of each line; never empty.
    let lineStarts: [Int]

    public init(file: String, bytes: [UInt8]) {
        self.file = file
        self.bytes = bytes
        var starts = [0]
        for (offset, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") { starts.append(offset + 1) }
        self.lineStarts = starts
    }

    public init(file: String, _ text: String) { self.init(file: file, bytes: Array(text.utf8)) }

    /// The line and column of a byte, both from 1; columns count Unicode scalars.
    ///
    /// Costs a binary search and a walk along the line. Offsets outside the text count as its nearer end.
    public func position(of offset: Int) -> (line: Int, column: Int) {
        let offset = min(max(offset, 0), bytes.count)
        let line = lineIndex(of: offset)
        var column = 1
        for byte in bytes[lineStarts[line]..<offset] where !byte.isUTF8Continuation { column += 1 }
        return (line + 1, column)
    }

    /// A stretch of the source as it stands.
    func text(in range: Range<Int>) -> String {
        String(decoding: bytes[range.clamped(to: 0..<bytes.count)], as: UTF8.self)
    }

    func lineIndex(of offset: Int) -> Int {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return low
    }
}

extension UInt8 {
    /// Whether the byte continues a UTF-8 sequence (RFC 3629 §3).
    var isUTF8Continuation: Bool { self & 0xC0 == 0x80 }
}
