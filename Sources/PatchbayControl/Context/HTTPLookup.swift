import AsyncHTTPClient
import NIOCore
import PatchbayConfig
import PatchbayTransports

/// Asks a service about a caller. One request: the caller waits, and no redirect is followed.
enum HTTPLookup {
    /// - Returns: `nil` when the service does not know the caller: 404, 204, or an answer without any value.
    static func values(
        _ request: ToolRequest, until deadline: ContinuousClock.Instant
    ) async throws -> ContextValues? {
        if let fault = request.addressFault { throw CallContext.Failure(reason: fault) }
        var message = HTTPClientRequest(url: try request.message(for: ToolArguments([:])).url)
        for header in request.headers {
            let value = header.value.reveal()
            // A value with a line break would be two headers; what comes with the call may hold one.
            guard !value.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) else {
                throw CallContext.Failure(reason: "header \(header.name) has a control character")
            }
            message.headers.replaceOrAdd(name: header.name, value: value)
        }
        if !message.headers.contains(name: "Accept") { message.headers.add(name: "Accept", value: "application/json") }
        let rest = deadline - ContinuousClock.now
        guard rest > .zero else { throw Deadline.Passed() }
        let response: HTTPClientResponse
        let body: ByteBuffer
        do {
            response = try await HTTPClient.tools.execute(message, timeout: .nanoseconds(Int64(rest / .nanoseconds(1))))
            if [204, 404].contains(response.status.code) { return nil }
            guard response.status.code == 200 else {
                throw CallContext.Failure(reason: "the service answered with status \(response.status.code)")
            }
            body = try await response.body.collect(upTo: request.responseLimit)
        } catch let error as HTTPClientError where error == .deadlineExceeded {
            throw Deadline.Passed()
        } catch let error as HTTPClientError {
            // Never its text, which may hold the address.
            throw CallContext.Failure(reason: error.shortDescription)
        } catch is NIOTooManyBytesError {
            throw CallContext.Failure(reason: "the answer has more than \(request.responseLimit) bytes")
        }
        guard let json = JSONValue(parsing: String(buffer: body)) else {
            throw CallContext.Failure(reason: "the answer is no JSON")
        }
        switch json {
        case .object, .array, .null: return ContextValues(flattening: json)
        case .boolean, .number, .string: throw CallContext.Failure(reason: "the answer is no JSON object")
        }
    }
}
