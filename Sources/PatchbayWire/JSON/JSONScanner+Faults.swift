/// What a scanner throws, kept out of line so that its loops stay small.
extension JSONScanner {
    func checkDepth(_ depth: Int) throws(WireError) {
        guard depth < Self.maximumDepth else {
            throw WireError(
                .nestedTooDeep, "more than \(Self.maximumDepth) objects and arrays inside one another", offset: index)
        }
    }

    @inline(never)
    func checkUTF8(_ start: Int, _ end: Int) throws(WireError) {
        do {
            _ = try UTF8Span(validating: UnsafeBufferPointer(start: base + start, count: end - start).span)
        } catch {
            throw WireError(.malformedJSON, "a string is not UTF-8", offset: start + error.byteOffsets.lowerBound)
        }
    }

    @inline(never)
    func unexpected(_ expectation: StaticString) -> WireError {
        guard index < count else { return unexpectedEnd() }
        let byte = base[index]
        let found = byte > 0x20 && byte < 0x7F ? "'\(Character(Unicode.Scalar(byte)))'" : "byte \(byte)"
        return WireError(.malformedJSON, "expected \(expectation), found \(found)", offset: index)
    }

    @inline(never)
    func unexpectedEnd() -> WireError {
        WireError(.malformedJSON, "the message ends too early", offset: count)
    }

    @inline(never)
    func unterminated(_ start: Int) -> WireError {
        WireError(.malformedJSON, "a string that begins here has no end", offset: max(0, start - 1))
    }

    @inline(never)
    func controlCharacter(_ position: Int) -> WireError {
        WireError(.malformedJSON, "control character \(base[position]) in a string must be escaped", offset: position)
    }

    @inline(never)
    func badNumber(_ start: Int) -> WireError {
        WireError(.malformedJSON, "not a number as JSON writes it", offset: start)
    }
}
