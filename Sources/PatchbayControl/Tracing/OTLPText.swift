import PatchbayCore
import Tracing

/// OTLP's JSON (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"): ids in hexadecimal digits, enumerations
/// as numbers, 64-bit integers as texts.
enum OTLPText {
    /// Characters of one value; longer ones are cut.
    static let valueLimit = 1000

    /// One span as a line of its own.
    static func line(_ record: TraceSpan.Record) -> String {
        #"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"patchbay"}}]},"#
            + #""scopeSpans":[{"scope":{"name":"patchbay"},"spans":["# + span(record) + "]}]}]}\n"
    }

    private static func span(_ record: TraceSpan.Record) -> String {
        var text = #"{"traceId":"\#(record.trace.trace)","spanId":"\#(record.trace.span)""#
        if let parent = record.parent { text += #","parentSpanId":"\#(parent)""# }
        if let state = record.trace.state { text += ",\"traceState\":\(quoted(state))" }
        text += ",\"name\":\(quoted(record.name)),\"kind\":\(number(record.kind))"
        text += #","startTimeUnixNano":"\#(record.start)","endTimeUnixNano":"\#(record.end)""#
        text += ",\"attributes\":\(attributes(record.attributes))"
        if !record.events.isEmpty {
            text += ",\"events\":[\(record.events.map(event).joined(separator: ","))]"
        }
        let links = record.links.compactMap(link)
        if !links.isEmpty { text += ",\"links\":[\(links.joined(separator: ","))]" }
        if let status = record.status {
            text += ",\"status\":{\"code\":\(status.code == .ok ? 1 : 2)"
            if let message = status.message { text += ",\"message\":\(quoted(message))" }
            text += "}"
        }
        return text + "}"
    }

    private static func number(_ kind: SpanKind) -> Int {
        switch kind {
        case .internal: 1
        case .server: 2
        case .client: 3
        case .producer: 4
        case .consumer: 5
        }
    }

    private static func event(_ event: SpanEvent) -> String {
        #"{"timeUnixNano":"\#(event.nanosecondsSinceEpoch)","name":"# + quoted(event.name)
            + ",\"attributes\":\(attributes(event.attributes))}"
    }

    private static func link(_ link: SpanLink) -> String? {
        guard let trace = link.context.trace else { return nil }
        return #"{"traceId":"\#(trace.trace)","spanId":"\#(trace.span)"}"#
    }

    private static func attributes(_ attributes: SpanAttributes) -> String {
        var texts: [(String, String)] = []
        attributes.forEach { key, attribute in
            // What clients of HTTP put into a query may be anybody's number, or a signature.
            guard key != "url.query" else { return }
            var attribute = attribute
            if key == "url.full", case .string(let url) = attribute {
                attribute = .string(String(url.prefix { $0 != "?" }))
            }
            texts.append((key, "{\"key\":\(quoted(key)),\"value\":\(value(attribute))}"))
        }
        return "[\(texts.sorted { $0.0 < $1.0 }.map(\.1).joined(separator: ","))]"
    }

    private static func value(_ attribute: SpanAttribute) -> String {
        func array(_ values: [SpanAttribute]) -> String {
            "{\"arrayValue\":{\"values\":[\(values.map(value).joined(separator: ","))]}}"
        }
        switch attribute {
        case .int32(let number): return #"{"intValue":"\#(number)"}"#
        case .int64(let number): return #"{"intValue":"\#(number)"}"#
        case .double(let number):
            return number.isFinite ? "{\"doubleValue\":\(number)}" : "{\"stringValue\":\"\(number)\"}"
        case .bool(let flag): return "{\"boolValue\":\(flag)}"
        case .string(let text): return "{\"stringValue\":\(quoted(text))}"
        case .stringConvertible(let value): return "{\"stringValue\":\(quoted("\(value)"))}"
        case .int32Array(let numbers): return array(numbers.map(SpanAttribute.int32))
        case .int64Array(let numbers): return array(numbers.map(SpanAttribute.int64))
        case .doubleArray(let numbers): return array(numbers.map(SpanAttribute.double))
        case .boolArray(let flags): return array(flags.map(SpanAttribute.bool))
        case .stringArray(let texts): return array(texts.map(SpanAttribute.string))
        case .stringConvertibleArray(let values): return array(values.map { .string("\($0)") })
        default: return "{\"stringValue\":\"\"}"
        }
    }

    private static func quoted(_ text: String) -> String {
        LogLineWriter.quoted(text.unicodeScalars.count > valueLimit ? String(text.prefix(valueLimit)) + "…" : text)
    }
}
