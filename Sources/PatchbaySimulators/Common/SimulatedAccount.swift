import Foundation
import NIOCore
import NIOHTTP1
import PatchbayCore
import PatchbayTransports
import PatchbayWire

/// What a vendor's server knows: agents, keys, what was given out. Decides who may talk, and answers plain requests.
protocol SimulatedAccount: Sendable {
    associatedtype Conversation: SimulatedConversation

    /// A request that is no WebSocket handshake.
    mutating func answer(_ request: SimulatorRequest, at now: MediaTime) -> SimulatorResponse

    /// A WebSocket handshake.
    mutating func admit(_ request: SimulatorRequest, at now: MediaTime) -> SimulatorAdmission<Conversation>
}

/// The answer to a handshake.
enum SimulatorAdmission<Conversation: SimulatedConversation>: Sendable {
    /// - `subprotocol`: chosen when the client offers it.
    case accept(Conversation, faults: SimulatorFaults, subprotocol: String? = nil)
    /// An HTTP answer; the message is its body.
    case refuse(HTTPResponseStatus, String)
}

/// The parts of a request that decide about its answer.
struct SimulatorRequest: Sendable {
    /// Larger bodies are answered with 413 by the server.
    static let maximumBody = 256 * 1024

    let isGet: Bool
    let isPost: Bool
    let path: String
    /// Without fields when it is too large to be read.
    let query: FormFields
    let headers: HTTPHeaders
    /// Where the client addressed this server, for URLs that lead back to it: `127.0.0.1:9000`.
    let place: String
    var body = ByteBuffer()

    /// - Parameter address: Stands in for a `Host` header that is missing or could not stand in a URL.
    init(_ head: HTTPRequestHead, address: SocketAddress? = nil) {
        isGet = head.method == .GET
        isPost = head.method == .POST
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = parts.first.map(String.init) ?? ""
        query = (try? FormFields(parsing: parts.count > 1 ? Array(parts[1].utf8) : [])) ?? FormFields()
        headers = head.headers
        let host = head.headers.first(name: "Host").flatMap { Self.isPlain($0) ? $0 : nil }
        place = host ?? address.map(Self.place) ?? "127.0.0.1"
    }

    /// The first header of that name.
    func header(_ name: String) -> String? { headers.first(name: name) }

    private static func isPlain(_ host: String) -> Bool {
        !host.isEmpty
            && host.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "-"),
                    UInt8(ascii: "["), UInt8(ascii: "]"):
                    true
                default: false
                }
            }
    }

    private static func place(_ address: SocketAddress) -> String {
        let host = address.ipAddress ?? "127.0.0.1"
        return "\(host.contains(":") ? "[\(host)]" : host):\(address.port ?? 80)"
    }
}

/// An HTTP answer of a simulated API.
struct SimulatorResponse: Sendable, Equatable {
    var status: HTTPResponseStatus
    /// JSON.
    var body: String

    init(_ status: HTTPResponseStatus, body: String) {
        self.status = status
        self.body = body
    }

    /// - Parameter value: Must encode, as strings, numbers and objects of them do.
    init(_ status: HTTPResponseStatus, json value: some Encodable) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        self.init(status, body: (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}")
    }
}

/// Digits from the system's random numbers; `bits` is a multiple of 64.
func randomHexadecimal(bits: Int) -> String {
    (0..<bits / 64).map { _ in
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
}
