import Synchronization
public import Tracing

/// A span that ``TraceFile`` writes when it ends.
public final class TraceSpan: Tracing.Span {
    /// Attributes of a span or an event, and events and links of a span; more are left out.
    static let maximumAttributes = 64
    static let maximumEvents = 128

    /// A span as it is written.
    struct Record: Sendable {
        var trace: TraceContext
        var parent: String?
        var name: String
        var kind: SpanKind
        /// Since 1970.
        var start: UInt64
        var end: UInt64 = 0
        var attributes = SpanAttributes()
        var events: [SpanEvent] = []
        var links: [SpanLink] = []
        var status: SpanStatus?

        /// About what it takes in memory.
        var size: Int { 512 + 128 * attributes.count + events.reduce(0) { $0 + 256 + 128 * $1.attributes.count } }
    }

    public let context: InstrumentationContext
    private let isSampled: Bool
    private let state: Mutex<Record>
    private let isEnded = Atomic(false)
    private let ended: @Sendable (Record) -> Void

    init(
        _ name: String, in parent: InstrumentationContext, _ kind: SpanKind, at start: UInt64,
        ended: @escaping @Sendable (Record) -> Void
    ) {
        let trace = parent.trace?.child ?? TraceContext()
        var context = parent
        context.trace = trace
        self.context = context
        isSampled = trace.isSampled
        state = Mutex(Record(trace: trace, parent: parent.trace?.span, name: name, kind: kind, start: start))
        self.ended = ended
    }

    public var isRecording: Bool { isSampled && !isEnded.load(ordering: .relaxed) }

    public var operationName: String {
        get { state.withLock { $0.name } }
        set { state.withLock { $0.name = newValue } }
    }

    public var attributes: SpanAttributes {
        get { state.withLock { $0.attributes } }
        set {
            guard newValue.count <= Self.maximumAttributes else { return }
            state.withLock { $0.attributes = newValue }
        }
    }

    public func setStatus(_ status: SpanStatus) { state.withLock { $0.status = status } }

    public func addEvent(_ event: SpanEvent) {
        state.withLock { if $0.events.count < Self.maximumEvents { $0.events.append(event) } }
    }

    public func addLink(_ link: SpanLink) {
        state.withLock { if $0.links.count < Self.maximumEvents { $0.links.append(link) } }
    }

    /// Of an error its type only: what errors say may hold anything.
    public func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        var attributes = attributes
        attributes["exception.type"] = "\(type(of: error))"
        addEvent(SpanEvent(name: "exception", at: instant(), attributes: attributes))
    }

    public func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        guard !isEnded.exchange(true, ordering: .relaxed), isSampled else { return }
        let end = instant().nanosecondsSinceEpoch
        ended(
            state.withLock { record in
                record.end = max(end, record.start)
                return record
            })
    }
}
