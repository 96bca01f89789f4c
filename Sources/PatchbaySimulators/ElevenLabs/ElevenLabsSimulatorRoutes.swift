import Foundation
import NIOCore
import NIOHTTP1
import PatchbayCore
import PatchbayTransports
import PatchbayWire

/// An HTTP answer of the simulated API.
struct ElevenLabsSimulatorResponse: Sendable, Equatable {
    var status: HTTPResponseStatus
    /// JSON.
    var body: String

    /// The classic form of the vendor's errors (elevenlabs.io/docs/developers/resources/error-messages).
    static func error(_ status: HTTPResponseStatus, _ code: String, _ message: String) -> Self {
        struct Body: Encodable {
            struct Detail: Encodable { var status, message: String }
            var detail: Detail
        }
        return Self(status: status, body: json(Body(detail: .init(status: code, message: message))))
    }

    static func signedURL(_ url: String) -> Self { Self(status: .ok, body: json(["signed_url": url])) }

    private static func json(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings always encode.
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}

/// The parts of a request that decide about its answer.
struct ElevenLabsSimulatorRequest {
    static let conversationPath = "/v1/convai/conversation"
    private static let signedURLPaths = ["/get-signed-url", "/get_signed_url"].map { conversationPath + $0 }

    let path: String
    let agentId: String?
    let signature: String?
    let key: String?
    /// As the client addressed this server; `nil` unless it could stand in a URL.
    let host: String?
    let isGet: Bool

    init(_ head: HTTPRequestHead) {
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = parts.first.map(String.init) ?? ""
        // A query too large to be read has no fields.
        let query = (try? FormFields(parsing: parts.count > 1 ? Array(parts[1].utf8) : [])) ?? FormFields()
        agentId = query["agent_id"].flatMap { $0.isEmpty ? nil : $0 }
        signature = query["conversation_signature"]
        key = head.headers.first(name: "xi-api-key")
        host = head.headers.first(name: "Host").flatMap { host in
            let isPlain = host.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "-"),
                    UInt8(ascii: "["), UInt8(ascii: "]"):
                    true
                default: false
                }
            }
            return isPlain && !host.isEmpty ? host : nil
        }
        isGet = head.method == .GET
    }

    var asksForSignedURL: Bool { Self.signedURLPaths.contains(path) }
    var asksForConversation: Bool { path == Self.conversationPath }
}

/// Answers one plain HTTP request, and closes the connection.
final class ElevenLabsSimulatorHTTPHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: (HTTPRequestHead) -> ElevenLabsSimulatorResponse
    private var hasAnswered = false

    init(answer: @escaping (HTTPRequestHead) -> ElevenLabsSimulatorResponse) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let request) = unwrapInboundIn(data), !hasAnswered else { return }
        hasAnswered = true
        let response = answer(request)
        let body = ByteBuffer(string: response.body)
        let head = HTTPResponseHead(
            version: .http1_1, status: response.status,
            headers: [
                "Content-Type": "application/json", "Content-Length": "\(body.readableBytes)", "Connection": "close",
            ])
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    }

    /// A request that is no HTTP.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
