/// The texts that one document is made of: its own, and those of the fragments it includes, on one scale of offsets.
///
/// So a node knows by its range alone in which file it stands, wherever it has been carried.
struct SourceMap {
    struct Entry {
        let source: SourceText
        /// What the offsets of this text are raised by.
        let base: Int
        /// Who includes it; `nil` for the document itself.
        let includedAt: Range<Int>?

        /// A stretch on the common scale as one of this text.
        func local(_ range: Range<Int>) -> Range<Int> {
            let start = max(0, range.lowerBound - base)
            return start..<max(start, range.upperBound - base)
        }
    }

    private(set) var entries: [Entry]

    init(_ source: SourceText) { entries = [Entry(source: source, base: 0, includedAt: nil)] }

    /// Adds a fragment.
    ///
    /// - Returns: What its offsets have to be raised by.
    mutating func add(_ source: SourceText, includedAt place: Range<Int>) -> Int {
        // One more than its bytes: a finding may point behind the last one.
        let base = entries.reduce(0) { $0 + $1.source.bytes.count + 1 }
        entries.append(Entry(source: source, base: base, includedAt: place))
        return base
    }

    /// The text in which an offset stands.
    func entry(of offset: Int) -> Entry { entries.last { $0.base <= offset } ?? entries[0] }
}

extension JSONNode {
    /// The same value with its ranges raised by `base`.
    func raised(by base: Int) -> JSONNode {
        var node = JSONNode(content, range: (range.lowerBound + base)..<(range.upperBound + base))
        switch content {
        case .array(let elements): node.content = .array(elements.map { $0.raised(by: base) })
        case .object(let members):
            node.content = .object(
                members.map {
                    JSONMember(
                        key: $0.key, keyRange: ($0.keyRange.lowerBound + base)..<($0.keyRange.upperBound + base),
                        value: $0.value.raised(by: base))
                })
        case .null, .boolean, .number, .string: break
        }
        return node
    }
}
