import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Patchbay

/// Longest body of a request, in bytes.
private let maximumBody = 65_536

extension Request {
    /// The body as bytes; ``Refusal`` above 64 KiB is Hummingbird's own 413.
    func bytes() async throws -> [UInt8] {
        Array(try await body.collect(upTo: maximumBody).readableBytesView)
    }

    var idempotencyKey: String? { HTTPField.Name("Idempotency-Key").flatMap { headers[$0] } }

    /// What is asked once; the path is its scope.
    func once(_ body: [UInt8]) throws -> Once {
        try Once(scope: "\(method.rawValue) \(uri.path)", key: idempotencyKey, request: body)
    }

    /// An item of the query; absent when empty.
    func item(_ name: String) -> String? { uri.queryParameters[name[...]].flatMap { String($0).nonEmpty } }
}

/// Reads and writes what travels over HTTP.
enum Reply {
    /// - Throws: ``Refusal`` in words for whoever wrote the body.
    static func draft<Draft: Decodable>(_ bytes: [UInt8], as type: Draft.Type = Draft.self) throws -> Draft {
        do {
            return try JSONDecoder().decode(Draft.self, from: Data(bytes))
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
            let name = context.codingPath.map(\.stringValue).joined(separator: ".")
            throw Refusal(.validation, name.isEmpty ? "the body is no JSON object" : "\(name) has the wrong type")
        } catch {
            throw Refusal(.validation, "the body is no JSON object")
        }
    }

    static func json(_ value: some Encodable, _ status: HTTPResponse.Status = .ok) throws -> Response {
        Response(
            status: status, headers: [.contentType: "application/json; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: try text(value))))
    }

    static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// What is answered under `data`, as the salons' contracts have it.
    struct Wrapped<Value: Encodable>: Encodable {
        var success = true
        var data: Value
    }
}

extension Refusal: HTTPResponseError {
    var status: HTTPResponse.Status {
        switch code {
        case .validation, .closed: .badRequest
        case .notFound: .notFound
        case .taken: .conflict
        case .keyReused: .unprocessableContent
        case .unauthorized: .unauthorized
        }
    }

    private struct Body: Encodable {
        var success = false
        var error: String
        var code: String
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        var response = try Reply.json(Body(error: words, code: code.rawValue), status)
        if code == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }
}
