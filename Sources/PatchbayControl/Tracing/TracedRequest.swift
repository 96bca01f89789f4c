import HTTPTypes
import Hummingbird
import Tracing

/// Goes on with the trace that a request belongs to, where somebody traces.
enum TracedRequest {
    private struct Fields: Extractor {
        func extract(key: String, from carrier: HTTPFields) -> String? { HTTPField.Name(key).flatMap { carrier[$0] } }
    }

    static func respond(
        _ request: Request, _ respond: () async throws -> Response
    ) async throws -> Response {
        guard !(InstrumentationSystem.tracer is NoOpTracer) else { return try await respond() }
        var context = InstrumentationContext.current ?? .topLevel
        InstrumentationSystem.instrument.extract(request.headers, into: &context, using: Fields())
        return try await InstrumentationContext.withValue(context) { try await respond() }
    }
}
