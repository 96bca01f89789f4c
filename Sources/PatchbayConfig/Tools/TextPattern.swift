/// A regular expression of JSON Schema (the ECMA-262 forms that schemas use), matched in time linear in the text.
///
/// The texts come from callers by way of a model, so an expression that backtracks could be made to run for hours. This one
/// follows all its paths at once: the cost is the length of the text times the size of the expression, whatever the text.
/// References to groups and looking around have no such form and are refused.
struct TextPattern: Sendable {
    /// Why an expression cannot be used, as the rest of a sentence.
    struct Fault: Error, Equatable {
        var message: String
    }

    /// Steps of one expression, repetitions counted as often as they may come.
    static let maximumSteps = 2000
    /// Parts of an expression that are looked at to make its steps. Some make none, `()`, and may be repeated as well.
    static let maximumVisits = 20 * maximumSteps
    /// Unicode scalars of a text that is matched; a longer one does not match.
    static let maximumLength = 4096

    private enum Step: Sendable {
        case scalars(ScalarSet)
        case start, end
        case boundary(Bool)
        case either(Int, Int)
        case jump(Int)
        case match
    }

    private let steps: [Step]

    init(_ pattern: String) throws(Fault) {
        var parser = TextPatternParser(pattern)
        let tree = try parser.parse()
        var steps: [Step] = []
        var visits = 0
        try Self.compile(tree, into: &steps, &visits)
        steps.append(.match)
        self.steps = steps
    }

    /// Whether the expression is found anywhere in the text.
    func matches(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars.prefix(Self.maximumLength + 1))
        guard scalars.count <= Self.maximumLength else { return false }
        var current: [Int] = [], next: [Int] = []
        var seen = [Int](repeating: -1, count: steps.count)
        var pending: [Int] = []
        for position in 0...scalars.count {
            // The expression may begin here.
            if follow(0, scalars, position, &seen, &pending, into: &current) { return true }
            guard position < scalars.count else { return false }
            next.removeAll(keepingCapacity: true)
            for index in current {
                guard case .scalars(let set) = steps[index], set.contains(scalars[position]) else { continue }
                if follow(index + 1, scalars, position + 1, &seen, &pending, into: &next) { return true }
            }
            swap(&current, &next)
        }
        return false
    }

    /// Adds every step that waits for a scalar and can be reached from `start` without one.
    ///
    /// - Returns: Whether the end of the expression can be reached.
    private func follow(
        _ start: Int, _ text: [Unicode.Scalar], _ position: Int, _ seen: inout [Int], _ pending: inout [Int],
        into list: inout [Int]
    ) -> Bool {
        pending.append(start)
        while let index = pending.popLast() {
            guard seen[index] != position else { continue }
            seen[index] = position
            switch steps[index] {
            case .match:
                pending.removeAll(keepingCapacity: true)
                return true
            case .scalars: list.append(index)
            case .jump(let target): pending.append(target)
            case .either(let first, let second):
                pending.append(second)
                pending.append(first)
            case .start: if position == 0 { pending.append(index + 1) }
            case .end: if position == text.count { pending.append(index + 1) }
            case .boundary(let isWanted):
                let before = position > 0 && ScalarSet.word.contains(text[position - 1])
                let after = position < text.count && ScalarSet.word.contains(text[position])
                if (before != after) == isWanted { pending.append(index + 1) }
            }
        }
        return false
    }

    // MARK: From the tree to steps

    private static func compile(
        _ node: TextPatternParser.Node, into steps: inout [Step], _ visits: inout Int
    ) throws(Fault) {
        visits += 1
        guard steps.count <= maximumSteps, visits <= maximumVisits else {
            throw Fault(message: "is too large: its repetitions make more than \(maximumSteps) steps")
        }
        switch node {
        case .scalars(let set): steps.append(.scalars(set))
        case .start: steps.append(.start)
        case .end: steps.append(.end)
        case .boundary(let isWanted): steps.append(.boundary(isWanted))
        case .sequence(let nodes): for node in nodes { try compile(node, into: &steps, &visits) }
        case .either(let nodes):
            var ends: [Int] = []
            for (index, node) in nodes.enumerated() {
                guard index + 1 < nodes.count else {
                    try compile(node, into: &steps, &visits)
                    break
                }
                let fork = steps.count
                steps.append(.either(fork + 1, 0))
                try compile(node, into: &steps, &visits)
                ends.append(steps.count)
                steps.append(.jump(0))
                steps[fork] = .either(fork + 1, steps.count)
            }
            for end in ends { steps[end] = .jump(steps.count) }
        case .repetition(let node, let least, let most):
            for _ in 0..<least { try compile(node, into: &steps, &visits) }
            guard let most else {
                let fork = steps.count
                steps.append(.either(fork + 1, 0))
                try compile(node, into: &steps, &visits)
                steps.append(.jump(fork))
                steps[fork] = .either(fork + 1, steps.count)
                return
            }
            var forks: [Int] = []
            for _ in 0..<max(0, most - least) {
                forks.append(steps.count)
                steps.append(.either(steps.count + 1, 0))
                try compile(node, into: &steps, &visits)
            }
            for fork in forks { steps[fork] = .either(fork + 1, steps.count) }
        }
    }
}

/// Unicode scalars, or all others.
struct ScalarSet: Sendable {
    var ranges: [ClosedRange<UInt32>]
    var isInverted = false

    init(_ ranges: [ClosedRange<UInt32>], isInverted: Bool = false) {
        self.ranges = ranges
        self.isInverted = isInverted
    }

    init(_ scalar: Unicode.Scalar) { self.init([scalar.value...scalar.value]) }

    func contains(_ scalar: Unicode.Scalar) -> Bool { ranges.contains { $0.contains(scalar.value) } != isInverted }

    /// The same without inversion.
    var plain: [ClosedRange<UInt32>] {
        guard isInverted else { return ranges }
        var rest: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if range.lowerBound > next { rest.append(next...(range.lowerBound - 1)) }
            next = max(next, range.upperBound + 1)
        }
        if next <= 0x10FFFF { rest.append(next...0x10FFFF) }
        return rest
    }

    static let digit = ScalarSet([0x30...0x39])
    static let word = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    /// `\s` of ECMA-262: white space and line terminators.
    static let space = ScalarSet([
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
    ])
    /// `.` of ECMA-262: everything but line terminators.
    static let any = ScalarSet([0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029], isInverted: true)
    func inverted() -> ScalarSet { ScalarSet(ranges, isInverted: !isInverted) }
}
