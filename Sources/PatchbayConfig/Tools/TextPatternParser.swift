/// Reads the text of a ``TextPattern``.
struct TextPatternParser {
    indirect enum Node {
        case scalars(ScalarSet)
        case start, end
        case boundary(Bool)
        case sequence([Node])
        case either([Node])
        case repetition(Node, least: Int, most: Int?)
    }

    /// Groups within each other.
    private static let maximumDepth = 50
    /// The highest count of a repetition.
    private static let maximumCount = 1000

    private let scalars: [Unicode.Scalar]
    private var index = 0
    private var depth = 0

    init(_ pattern: String) { scalars = Array(pattern.unicodeScalars) }

    private var next: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        index += 1
        return true
    }

    private mutating func take(_ text: String) -> Bool {
        guard scalars[index...].starts(with: text.unicodeScalars) else { return false }
        index += text.unicodeScalars.count
        return true
    }

    mutating func parse() throws(TextPattern.Fault) -> Node {
        let node = try alternatives()
        guard next == nil else { throw TextPattern.Fault(message: "closes a group that was never opened") }
        return node
    }

    private mutating func alternatives() throws(TextPattern.Fault) -> Node {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else {
            throw TextPattern.Fault(message: "has more than \(Self.maximumDepth) groups within each other")
        }
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .either(branches)
    }

    private mutating func sequence() throws(TextPattern.Fault) -> Node {
        var nodes: [Node] = []
        while let scalar = next, scalar != "|", scalar != ")" { nodes.append(try repetition()) }
        return .sequence(nodes)
    }

    private mutating func repetition() throws(TextPattern.Fault) -> Node {
        let node = try atom()
        var bounds: (least: Int, most: Int?)?
        switch next {
        case "*": bounds = (0, nil)
        case "+": bounds = (1, nil)
        case "?": bounds = (0, 1)
        case "{":
            let start = index
            if let counts = try counts() { return finish(node, counts) }
            index = start
            throw TextPattern.Fault(message: "has a \"{\" that is no repetition; write \"\\{\" for the character")
        default: return node
        }
        index += 1
        return finish(node, bounds ?? (1, 1))
    }

    private mutating func finish(_ node: Node, _ bounds: (least: Int, most: Int?)) -> Node {
        // Greedy or not makes no difference to whether anything matches.
        _ = take("?")
        return .repetition(node, least: bounds.least, most: bounds.most)
    }

    /// `{2}`, `{2,}`, `{2,5}`.
    private mutating func counts() throws(TextPattern.Fault) -> (least: Int, most: Int?)? {
        index += 1
        guard let least = number() else { return nil }
        var most: Int? = least
        if take(",") { most = number() }
        guard take("}") else { return nil }
        guard least <= Self.maximumCount, most ?? 0 <= Self.maximumCount, most ?? least >= least else {
            throw TextPattern.Fault(
                message: "repeats from \(least) to \(most ?? least) times; at most \(Self.maximumCount)")
        }
        return (least, most)
    }

    private mutating func number() -> Int? {
        var digits = ""
        while let scalar = next, ("0"..."9").contains(scalar), digits.utf8.count < 9 {
            digits.unicodeScalars.append(scalar)
            index += 1
        }
        return Int(digits)
    }

    private mutating func atom() throws(TextPattern.Fault) -> Node {
        guard let scalar = next else { return .sequence([]) }
        index += 1
        switch scalar {
        case "^": return .start
        case "$": return .end
        case ".": return .scalars(.any)
        case "[": return .scalars(try set())
        case "(": return try group()
        case "\\":
            if take("b") { return .boundary(true) }
            if take("B") { return .boundary(false) }
            return .scalars(try escape(inSet: false))
        case "*", "+", "?": throw TextPattern.Fault(message: "repeats nothing with \"\(scalar)\"")
        default: return .scalars(ScalarSet(scalar))
        }
    }

    private mutating func group() throws(TextPattern.Fault) -> Node {
        if take("?=") || take("?!") || take("?<=") || take("?<!") {
            throw TextPattern.Fault(message: "looks around (\"(?=\", \"(?!\"), which is not supported")
        }
        if take("?<") {
            while let scalar = next, scalar != ">" {
                guard ScalarSet.word.contains(scalar) else { break }
                index += 1
            }
            guard take(">") else { throw TextPattern.Fault(message: "has a group whose name is never closed") }
        } else if next == "?", !take("?:") {
            throw TextPattern.Fault(message: "has a kind of group that is not supported")
        }
        let node = try alternatives()
        guard take(")") else { throw TextPattern.Fault(message: "has a group that is never closed") }
        return node
    }

    // MARK: Sets and escapes

    private mutating func set() throws(TextPattern.Fault) -> ScalarSet {
        let isInverted = take("^")
        var ranges: [ClosedRange<UInt32>] = []
        while let scalar = next, scalar != "]" {
            let low = try member()
            guard case .one(let first) = low, next == "-", index + 1 < scalars.count, scalars[index + 1] != "]" else {
                ranges += low.ranges
                continue
            }
            index += 1
            guard case .one(let last) = try member(), last.value >= first.value else {
                throw TextPattern.Fault(message: "has a range in brackets that runs backwards")
            }
            ranges.append(first.value...last.value)
        }
        guard take("]") else { throw TextPattern.Fault(message: "has a \"[\" that is never closed") }
        return ScalarSet(ranges, isInverted: isInverted)
    }

    private enum Member {
        case one(Unicode.Scalar)
        case several([ClosedRange<UInt32>])

        var ranges: [ClosedRange<UInt32>] {
            switch self {
            case .one(let scalar): [scalar.value...scalar.value]
            case .several(let ranges): ranges
            }
        }
    }

    private mutating func member() throws(TextPattern.Fault) -> Member {
        guard let scalar = next else { throw TextPattern.Fault(message: "has a \"[\" that is never closed") }
        index += 1
        guard scalar == "\\" else { return .one(scalar) }
        let ranges = try escape(inSet: true).plain
        if ranges.count == 1, ranges[0].count == 1, let scalar = Unicode.Scalar(ranges[0].lowerBound) {
            return .one(scalar)
        }
        return .several(ranges)
    }

    private mutating func escape(inSet: Bool) throws(TextPattern.Fault) -> ScalarSet {
        guard let scalar = next else { throw TextPattern.Fault(message: "ends with a backslash") }
        index += 1
        switch scalar {
        case "d": return .digit
        case "D": return ScalarSet.digit.inverted()
        case "w": return .word
        case "W": return ScalarSet.word.inverted()
        case "s": return .space
        case "S": return ScalarSet.space.inverted()
        case "t": return ScalarSet("\t")
        case "n": return ScalarSet("\n")
        case "r": return ScalarSet("\r")
        case "f": return ScalarSet("\u{0C}")
        case "v": return ScalarSet("\u{0B}")
        case "0": return ScalarSet("\0")
        case "b" where inSet: return ScalarSet("\u{08}")
        case "x": return try hexadecimal(digits: 2)
        case "u":
            guard take("{") else { return try hexadecimal(digits: 4) }
            var digits = 0
            while index + digits < scalars.count, scalars[index + digits] != "}", digits < 7 { digits += 1 }
            let set = try hexadecimal(digits: digits)
            guard take("}") else { throw TextPattern.Fault(message: "has a \"\\u{\" that is never closed") }
            return set
        case "1"..."9", "k": throw TextPattern.Fault(message: "refers to a group, which is not supported")
        case "p", "P": throw TextPattern.Fault(message: "names a Unicode property, which is not supported")
        case "a"..."z", "A"..."Z": throw TextPattern.Fault(message: "has the unknown escape \"\\\(scalar)\"")
        default: return ScalarSet(scalar)
        }
    }

    private mutating func hexadecimal(digits: Int) throws(TextPattern.Fault) -> ScalarSet {
        let text = scalars[index...].prefix(digits).reduce(into: "") { $0.unicodeScalars.append($1) }
        guard text.utf8.count == digits, digits > 0, let value = UInt32(text, radix: 16),
            let scalar = Unicode.Scalar(value)
        else { throw TextPattern.Fault(message: "has an escape without its hexadecimal digits") }
        index += digits
        return ScalarSet(scalar)
    }
}
