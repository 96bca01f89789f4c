import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import NIOHTTP1
import PatchbayConfig
import PatchbayTransports

/// Decides who may call without a telephone, whose call it is, and which pipeline answers.
struct BrowserAdmission: Sendable {
    /// The subprotocol that pages offer beside their token, because scripts in browsers cannot set header fields.
    static let subprotocol = "patchbay"
    private static let tokenPrefix = "bearer."

    /// What was decided of one caller.
    struct Caller: Sendable {
        var principal: Principal
        var tenant: String?
        var document: PipelineDocument
        /// The address at the other end, for the audit trail.
        var peer: String
    }

    /// Why nobody is let in, as the answer to the handshake.
    private struct Refusal: Error {
        var status: HTTPResponseStatus
        var message: String
    }

    let switchboard: Switchboard

    func decide(_ head: HTTPRequestHead, _ headers: HTTPFields, _ origin: RequestOrigin) -> WebSocketAcceptance {
        let offered = head.headers[canonicalForm: "Sec-WebSocket-Protocol"].map(String.init)
        let uri = URI(head.uri)
        let principal: Principal
        do throws(HTTPError) {
            principal = try switchboard.access.admitCaller(
                showing: Self.token(headers, offered), at: uri.path, from: origin)
        } catch {
            // It is in the audit trail already.
            let remedy =
                error.status == .unauthorized
                ? "; it is sent as Authorization: Bearer …, or as the subprotocols patchbay and bearer.…" : ""
            return refuse(
                Refusal(
                    status: HTTPResponseStatus(statusCode: error.status.code), message: (error.body ?? "") + remedy),
                origin)
        }
        do throws(Refusal) {
            try checkPage(head)
            let tenant = try tenant(uri, principal)
            let document = try document(uri, of: tenant, principal)
            let limit = switchboard.settings.browser.maximumCalls
            guard let place = switchboard.browserPlaces.take(of: limit) else {
                RateLimiter.count("browser.maximumCalls")
                throw Refusal(status: .serviceUnavailable, message: "there are too many calls; try again later")
            }
            let caller = Caller(principal: principal, tenant: tenant, document: document, peer: origin.client)
            return .accept(subprotocol: offered.contains(Self.subprotocol) ? Self.subprotocol : nil) { connection in
                BrowserSocket(connection, switchboard, caller, place)
            }
        } catch {
            switchboard.audit.note(
                "browser.refused", uri.path, by: principal, from: origin, outcome: error.message)
            return refuse(error, origin)
        }
    }

    private static func token(_ headers: HTTPFields, _ offered: [String]) -> Secret? {
        if let token = Access.token(of: headers) { return token }
        return offered.first { $0.hasPrefix(tokenPrefix) }.map { Access.token($0.dropFirst(tokenPrefix.count)) }
    }

    private func checkPage(_ head: HTTPRequestHead) throws(Refusal) {
        let origins = switchboard.settings.browser.origins
        guard !origins.isEmpty, let page = head.headers.first(name: "Origin"), !origins.contains(page) else { return }
        throw Refusal(status: .forbidden, message: "pages of this origin may not call")
    }

    /// The token's own tenant; a caller who sees all may name one.
    private func tenant(_ uri: URI, _ principal: Principal) throws(Refusal) -> String? {
        guard let asked = uri.queryParameters["tenant"].map(String.init) else { return principal.tenant }
        // Who may only talk is not told which tenants there are.
        let isKnown = principal.rights.contains(.read) && principal.tenant == nil && switchboard.isTenant(asked)
        guard principal.tenant == asked || isKnown else {
            throw Refusal(status: .notFound, message: "there is no tenant of that name, or it is not yours to call for")
        }
        return asked
    }

    /// The one that the address names; else the tenant's own, else the only one there is. A tenant's token opens no other.
    private func document(_ uri: URI, of tenant: String?, _ principal: Principal) throws(Refusal) -> PipelineDocument {
        let candidates = switchboard.pipelineSet.documents.filter { $0.transportType == BrowserTransport().spec.type }
        let own = tenant.flatMap { tenant in candidates.first { $0.name == switchboard.pipeline(ofTenant: tenant) } }
        let preferred = own ?? (candidates.count == 1 ? candidates.first : nil)
        let asked = uri.queryParameters["pipeline"].map(String.init)
        let found = asked.map { name in candidates.first { $0.name == name } } ?? preferred
        guard let found else {
            throw Refusal(
                status: .notFound,
                message: asked == nil && principal.tenant != nil
                    ? "the tenant has no pipeline whose transport is \"browser\", and there are several"
                    : "there is no pipeline of that name whose transport is \"browser\"; name one with ?pipeline=NAME")
        }
        guard principal.tenant == nil || found.name == preferred?.name else {
            throw Refusal(
                status: .forbidden, message: "this token calls the pipeline of its tenant only; leave ?pipeline= out")
        }
        return found
    }

    private func refuse(_ refusal: Refusal, _ origin: RequestOrigin) -> WebSocketAcceptance {
        switchboard.logger.warning(
            "browser refused", metadata: ["reason": "\(refusal.message)", "peer": "\(origin.peer)"])
        StreamMeters.refused.increment()
        return .refuse(refusal.status, refusal.message)
    }
}

extension Switchboard {
    fileprivate func isTenant(_ id: String) -> Bool { tenants.assignment(ofTenant: id, in: pipelineSet) != nil }

    fileprivate func pipeline(ofTenant id: String) -> String? {
        tenants.assignment(ofTenant: id, in: pipelineSet)?.pipeline
    }
}
