import Tracing

/// Which span of which trace something belongs to, as the header `traceparent` has it (www.w3.org/TR/trace-context).
struct TraceContext: Sendable, Hashable {
    static let header = "traceparent"
    static let stateHeader = "tracestate"
    /// Longest `tracestate` that is passed on, in bytes; the recommendation asks for no less.
    static let maximumState = 512

    /// 32 and 16 lower-case hexadecimal digits.
    var trace: String
    var span: String
    var isSampled: Bool
    /// What other systems want to be passed on.
    var state: String?

    /// The beginning of a trace.
    init() {
        var generator = SystemRandomNumberGenerator()
        trace = Self.hex(generator.next()) + Self.hex(generator.next())
        span = Self.hex(generator.next())
        isSampled = true
    }

    /// - Returns: `nil` for what is none. Versions to come may have more behind the flags.
    init?(parsing text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, text.utf8.count <= 256 else { return nil }
        let (version, trace, span, flags) = (parts[0], parts[1], parts[2], parts[3])
        guard Self.isHex(version, 2), version != "ff", version != "00" || parts.count == 4,
            Self.isHex(trace, 32), trace.contains(where: { $0 != "0" }),
            Self.isHex(span, 16), span.contains(where: { $0 != "0" }),
            Self.isHex(flags, 2), let bits = UInt8(flags, radix: 16)
        else { return nil }
        (self.trace, self.span) = (String(trace), String(span))
        isSampled = bits & 1 == 1
    }

    var text: String { "00-\(trace)-\(span)-\(isSampled ? "01" : "00")" }

    /// A span below this one.
    var child: TraceContext {
        var generator = SystemRandomNumberGenerator()
        var child = self
        child.span = Self.hex(generator.next())
        return child
    }

    private static func isHex(_ text: Substring, _ count: Int) -> Bool {
        text.utf8.count == count && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private static func hex(_ number: UInt64) -> String {
        // All zeros stands for none.
        let digits = String(max(1, number), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

private enum TraceContextKey: InstrumentationContextKey {
    typealias Value = TraceContext
    static var nameOverride: String? { TraceContext.header }
}

extension InstrumentationContext {
    var trace: TraceContext? {
        get { self[TraceContextKey.self] }
        set { self[TraceContextKey.self] = newValue }
    }
}
