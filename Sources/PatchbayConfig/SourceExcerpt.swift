extension SourceText {
    /// The line on which `range` begins, with the stretch to mark.
    ///
    /// - Parameter hidden: Stretches that must not be shown; each is printed as `"…"`, whatever its length.
    func excerpt(of range: Range<Int>, hiding hidden: [Range<Int>]) -> Diagnostic.Excerpt {
        let range = range.clamped(to: 0..<bytes.count)
        let line = lineIndex(of: range.lowerBound)
        let lineStart = lineStarts[line]
        var lineEnd = line + 1 < lineStarts.count ? lineStarts[line + 1] - 1 : bytes.count
        if lineEnd > lineStart, bytes[lineEnd - 1] == UInt8(ascii: "\r") { lineEnd -= 1 }

        // A minified document is one line of a megabyte; only what surrounds the carets is of use.
        var first = max(lineStart, range.lowerBound - 400)
        var last = min(lineEnd, range.lowerBound + 400)
        while first < last, bytes[first].isUTF8Continuation { first += 1 }
        while last < lineEnd, last > first, bytes[last].isUTF8Continuation { last -= 1 }

        var marked = MarkedLine(range: range)
        var offset = first
        let holes = hidden.filter { $0.overlaps(first..<max(first, last)) }
        for hole in holes.sorted(by: { $0.lowerBound < $1.lowerBound }) where hole.upperBound > offset {
            marked.append(self, offset..<max(offset, min(hole.lowerBound, last)))
            marked.appendHidden(hole)
            offset = hole.upperBound
        }
        if offset < last { marked.append(self, offset..<last) }
        return marked.excerpt(isCutInFront: first > lineStart, isCutBehind: last < lineEnd)
    }
}

/// A line as it will be shown, with the place of the carets in it.
private struct MarkedLine {
    /// The bytes to mark.
    let range: Range<Int>
    private var scalars: [Unicode.Scalar] = []
    private var leading: Int?
    private var end = 0

    init(range: Range<Int>) { self.range = range }

    mutating func append(_ source: SourceText, _ stretch: Range<Int>) {
        let start = min(max(range.lowerBound, stretch.lowerBound), stretch.upperBound)
        let stop = min(max(range.upperBound, start), stretch.upperBound)
        show(source.text(in: stretch.lowerBound..<start))
        if start == range.lowerBound { leading = scalars.count }
        show(source.text(in: start..<stop))
        if start < stop { end = scalars.count }
        show(source.text(in: stop..<stretch.upperBound))
    }

    mutating func appendHidden(_ hole: Range<Int>) {
        if hole.contains(range.lowerBound) { leading = scalars.count }
        scalars += ["\"", "…", "\""]
        if hole.overlaps(range) { end = scalars.count }
    }

    private mutating func show(_ text: String) {
        // One scalar for one scalar, so that the carets keep their place.
        for scalar in text.unicodeScalars {
            scalars.append(scalar == "\t" || scalar.isPrintable ? scalar : "\u{FFFD}")
        }
    }

    /// Cuts the line to at most 100 scalars before the carets and 120 from there on.
    func excerpt(isCutInFront: Bool, isCutBehind: Bool) -> Diagnostic.Excerpt {
        let leading = leading ?? scalars.count
        let drop = leading > 100 ? leading - 60 : 0
        let keep = min(scalars.count, leading + 120)
        var shown = Array(scalars[min(drop, keep)..<keep])
        var position = leading - drop
        if drop > 0 || isCutInFront {
            shown.insert("…", at: 0)
            position += 1
        }
        // The carets never reach beyond what is shown; a place after the end of the line still gets one.
        let length = max(1, min(end - leading, shown.count - position))
        if keep < scalars.count || isCutBehind { shown.append("…") }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: shown)
        return Diagnostic.Excerpt(text: String(text), leading: position, length: length)
    }
}
