import HTTPTypes
import NIOCore
import NIOHTTP1
import PatchbayConfig
import PatchbayTransports

/// Decides who may call without a telephone, and which pipeline answers.
struct BrowserAdmission: Sendable {
    /// The subprotocol that pages offer beside their token, because scripts in browsers cannot set header fields.
    static let subprotocol = "patchbay"
    private static let tokenPrefix = "bearer."

    let switchboard: Switchboard

    func decide(_ head: HTTPRequestHead, _ headers: HTTPFields, _ origin: RequestOrigin) -> WebSocketAcceptance {
        let settings = switchboard.settings.browser
        let offered = head.headers[canonicalForm: "Sec-WebSocket-Protocol"].map(String.init)
        guard settings.isOpen || origin.isLocal || hasToken(headers, offered) else {
            return refused(
                .unauthorized, "a token is needed: Authorization: Bearer …, or the subprotocols patchbay and bearer.…",
                origin)
        }
        if !settings.origins.isEmpty, let page = head.headers.first(name: "Origin"), !settings.origins.contains(page) {
            return refused(.forbidden, "pages of this origin may not call", origin)
        }
        guard let document = document(of: head) else {
            return refused(
                .notFound,
                "there is no pipeline of that name whose transport is \"browser\"; name one with ?pipeline=NAME",
                origin)
        }
        guard
            switchboard.registry.all().running.count(where: { $0.info.callSid.hasPrefix("WS") }) < settings.maximumCalls
        else { return refused(.serviceUnavailable, "there are too many calls; try again later", origin) }
        return .accept(subprotocol: offered.contains(Self.subprotocol) ? Self.subprotocol : nil) { connection in
            BrowserSocket(connection, switchboard, document)
        }
    }

    private func hasToken(_ headers: HTTPFields, _ offered: [String]) -> Bool {
        guard let token = switchboard.options.adminToken else { return false }
        let header = headers[.authorization] ?? ""
        let given =
            header.hasPrefix("Bearer ")
            ? String(header.dropFirst(7))
            : offered.first { $0.hasPrefix(Self.tokenPrefix) }.map { String($0.dropFirst(Self.tokenPrefix.count)) }
        return given.map { Secret($0) == token } ?? false
    }

    /// The one that the address names, or the only one there is.
    private func document(of head: HTTPRequestHead) -> PipelineDocument? {
        let candidates = switchboard.pipelineSet.documents.filter { $0.transportType == BrowserTransport().spec.type }
        let query = head.uri.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
        let name = query.split(separator: "&").first { $0.hasPrefix("pipeline=") }?.dropFirst("pipeline=".count)
        guard let name else { return candidates.count == 1 ? candidates.first : nil }
        return candidates.first { $0.name == name }
    }

    private func refused(_ status: HTTPResponseStatus, _ message: String, _ origin: RequestOrigin)
        -> WebSocketAcceptance
    {
        switchboard.logger.warning("browser refused", metadata: ["reason": "\(message)", "peer": "\(origin.peer)"])
        return .refuse(status, message)
    }
}
