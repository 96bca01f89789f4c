import Crypto
import Foundation
import NIOHTTP1

/// The computations and checks of the opening handshake (RFC 6455, section 4).
enum WebSocketHandshake {
    static let version = "13"

    /// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (section 4.2.2, item 5.4).
    static func accept(forKey key: String) -> String {
        let digest = Insecure.SHA1.hash(data: Data((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
        return Data(digest).base64EncodedString()
    }

    /// A fresh `Sec-WebSocket-Key`: 16 random bytes in base64 (section 4.1, item 7).
    static func makeKey() -> String {
        var generator = SystemRandomNumberGenerator()
        return Data((0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }).base64EncodedString()
    }

    static func isKey(_ key: String) -> Bool { Data(base64Encoded: key)?.count == 16 }

    /// Whether a comma-separated header holds the token, in any case.
    static func contains(_ token: String, in headers: HTTPHeaders, _ name: String) -> Bool {
        headers[canonicalForm: name].contains { $0.lowercased() == token }
    }

    /// Why the request cannot become a WebSocket, or nil when it can (section 4.2.1).
    static func refusal(of head: HTTPRequestHead) -> WebSocketAcceptance? {
        guard head.method == .GET else {
            return .refuse(.methodNotAllowed, "a WebSocket handshake is a GET request", headers: ["Allow": "GET"])
        }
        guard head.version == .http1_1 else {
            return .refuse(.badRequest, "a WebSocket handshake needs HTTP/1.1")
        }
        guard contains("upgrade", in: head.headers, "Connection") else {
            return .refuse(.badRequest, "the Connection header of a WebSocket handshake must contain \"Upgrade\"")
        }
        guard head.headers["Sec-WebSocket-Version"].map({ $0.trimmed }) == [version] else {
            return .refuse(
                .upgradeRequired, "only WebSocket version \(version) is spoken here",
                headers: ["Sec-WebSocket-Version": version, "Upgrade": "websocket"])
        }
        let keys = head.headers["Sec-WebSocket-Key"]
        guard keys.count == 1, isKey(keys[0].trimmed) else {
            return .refuse(.badRequest, "Sec-WebSocket-Key must be one header with 16 bytes in base64")
        }
        guard !head.headers.contains(name: "Transfer-Encoding"),
            head.headers["Content-Length"].allSatisfy({ $0.trimmed == "0" })
        else {
            return .refuse(.badRequest, "a WebSocket handshake has no body")
        }
        guard head.headers["Host"].count == 1 else {
            return .refuse(.badRequest, "a WebSocket handshake needs one Host header")
        }
        return nil
    }

    /// The subprotocols that a client offers, in its order of preference.
    static func subprotocols(in headers: HTTPHeaders) -> [String] {
        headers[canonicalForm: "Sec-WebSocket-Protocol"].map(String.init)
    }
}

extension String {
    var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
