/// The word among `candidates` that somebody who wrote `word` most likely meant, or `nil` when none is close.
///
/// Close is an edit distance of at most a third of the length of `word`; letter case counts unless nothing else differs, exchanged neighbours count
/// once. Two that are equally close give none: that would be a guess.
/// Cost is the product of the lengths for each candidate.
public func closestMatch(to word: String, in candidates: some Sequence<String>) -> String? {
    let target = Array(word.unicodeScalars)
    // Nobody misspells a word of this length by accident, and the comparison is quadratic.
    guard !target.isEmpty, target.count <= 64 else { return nil }
    var best: (distance: Int, candidate: String?)?
    let word = word.lowercased()
    for candidate in candidates {
        let letters = Array(candidate.unicodeScalars)
        guard letters.count <= 64, abs(letters.count - target.count) * 3 <= target.count else { continue }
        let distance = candidate.lowercased() == word ? 0 : editDistance(target, letters)
        guard distance * 3 <= target.count else { continue }
        if distance < best?.distance ?? .max {
            best = (distance, candidate)
        } else if distance == best?.distance, candidate != best?.candidate {
            best?.candidate = nil
        }
    }
    return best?.candidate
}

/// Insertions, deletions, replacements and exchanges of neighbours that turn one word into the other (optimal string
/// alignment).
func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
    if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
    var beforeLast = [Int](repeating: 0, count: b.count + 1)
    var last = Array(0...b.count)
    for i in 1...a.count {
        var row = [i]
        for j in 1...b.count {
            var cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
            if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { cost = min(cost, beforeLast[j - 2] + 1) }
            row.append(cost)
        }
        beforeLast = last
        last = row
    }
    return last[b.count]
}

extension Diagnostic.Suggestion {
    /// Suggests the closest of `allowed`, if one is close, and lists them all.
    ///
    /// - Parameter label: What the list is of: `fields here`.
    static func among(_ allowed: [String], for word: String, label: String) -> Self? {
        guard !allowed.isEmpty else { return nil }
        let list = "\(label): \(allowed.sorted().joined(separator: ", "))"
        guard let match = closestMatch(to: word, in: allowed) else { return Self(list) }
        return Self("did you mean \"\(match)\"? \(list)", replacement: match)
    }

    /// Suggests the closest of `allowed`, or, when none is close, lists them.
    static func closest(of allowed: [String], for word: String, label: String) -> Self? {
        guard let match = closestMatch(to: word, in: allowed) else { return among(allowed, for: word, label: label) }
        return Self("did you mean \"\(match)\"?", replacement: match)
    }
}
