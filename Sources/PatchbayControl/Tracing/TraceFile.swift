import Glibc
import Metrics
public import PatchbayCore
import Synchronization
public import Tracing

/// A tracer for people without a collector: writes spans into a file, one line of OTLP's JSON each
/// (opentelemetry.io/docs/specs/otel/protocol/file-exporter), which a collector can read later.
///
/// A span that ends is put into a queue of limited size; a thread of its own writes. What comes with `traceparent` is
/// gone on with, and not written where its sender does not want it to be.
public final class TraceFile: Tracer {
    /// Spans that may wait to be written, in bytes.
    public static let queueLimit = 4 << 20
    /// Longest file; what comes later is dropped and counted.
    public static let maximumBytes = 1 << 30

    private let writer: BackgroundWriter<TraceSpan.Record>

    /// Opens the file, to go on with one that is there. Only its owner may read it.
    ///
    /// - Throws: When it cannot be opened.
    public init(_ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw PipelineError(
                .tracesUnusable, "the file for spans cannot be opened: \(String(cString: strerror(errno)))", place: path
            )
        }
        let written = Mutex(Int(lseek(descriptor, 0, SEEK_END)))
        writer = BackgroundWriter(descriptor, limit: Self.queueLimit) { record in
            let line = OTLPText.line(record)
            let fits = written.withLock { written in
                guard written + line.utf8.count <= Self.maximumBytes else { return false }
                written += line.utf8.count
                return true
            }
            guard fits else {
                Counter(label: ServerMetrics.droppedSpans).increment()
                return ""
            }
            return line
        } dropped: { count in
            Counter(label: ServerMetrics.droppedSpans).increment(by: count)
            return ""
        }
    }

    /// What waits, in bytes.
    public var waitingBytes: Int { writer.waitingBytes }

    public func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> InstrumentationContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> TraceSpan {
        TraceSpan(operationName, in: context(), kind, at: instant().nanosecondsSinceEpoch) { [writer] record in
            writer.enter(record, size: record.size)
        }
    }

    public func activeSpan(identifiedBy context: InstrumentationContext) -> TraceSpan? { nil }

    public func forceFlush() {}

    /// Writes what waits; blocks until that is done, at most two seconds. For the end of the process.
    public func finish() { writer.finish() }

    public func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout InstrumentationContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let text = extractor.extract(key: TraceContext.header, from: carrier),
            var trace = TraceContext(parsing: text)
        else { return }
        if let state = extractor.extract(key: TraceContext.stateHeader, from: carrier),
            state.utf8.count <= TraceContext.maximumState
        {
            trace.state = state
        }
        context.trace = trace
    }

    public func inject<Carrier, Inject: Injector>(
        _ context: InstrumentationContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let trace = context.trace else { return }
        injector.inject(trace.text, forKey: TraceContext.header, into: &carrier)
        if let state = trace.state { injector.inject(state, forKey: TraceContext.stateHeader, into: &carrier) }
    }
}

extension PipelineError.Code {
    /// The file for spans cannot be used.
    public static let tracesUnusable = Self("traces-unusable")
}
