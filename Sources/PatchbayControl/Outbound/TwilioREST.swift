public import AsyncHTTPClient
import Foundation
public import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
public import PatchbayConfig
import PatchbayWire

/// Twilio's REST API, as far as calls need it.
///
/// A request is sent again only when it cannot have had an effect: nobody took the connection, or Twilio said that it is asked
/// too much (429). An order to dial whose answer never came is not sent again, because it may have dialled.
///
/// https://www.twilio.com/docs/voice/api/call-resource
public struct TwilioREST: Sendable {
    /// How often a request without effect is sent, at most.
    static let attempts = 3
    /// The first wait before it is sent again; each further one is twice as long, with up to half of it added by chance.
    static let firstPause = Duration.milliseconds(250)
    /// The longest wait that Twilio may ask for by `Retry-After`, in seconds.
    static let longestPause = 5
    /// Longest answer that is read, in bytes; a page of fifty calls takes a tenth of it.
    static let maximumAnswer = 1 << 20

    private let client: HTTPClient
    private let baseURL: String
    private let accountSid: String
    private let authToken: Secret
    /// How long an answer to an order is waited for, and to any other request.
    var (createTimeout, timeout) = (TimeAmount.seconds(10), TimeAmount.seconds(5))
    /// Waits between attempts.
    var pause: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

    public init(client: HTTPClient, baseURL: String, accountSid: String, authToken: Secret) {
        self.client = client
        self.baseURL = baseURL.hasSuffix("/") ? String(baseURL.dropLast()) : baseURL
        self.accountSid = accountSid
        self.authToken = authToken
    }

    /// `nil` without the credentials for it.
    init?(_ client: HTTPClient, _ options: ServerOptions) {
        guard let sid = options.twilioAccountSid, let token = options.twilioAuthToken else { return nil }
        self.init(client: client, baseURL: options.twilioBaseURL, accountSid: sid, authToken: token)
    }

    // MARK: Calls

    /// Has a number dialled.
    ///
    /// - Throws: With ``TwilioError/Fate/uncertain`` when it may have been dialled all the same; ``calls(to:from:)`` may tell.
    public func create(_ order: TwilioCallOrder) async throws(TwilioError) -> TwilioCall {
        try await decoded(send(.POST, "Calls.json", form: order.form, timeout: createTimeout))
    }

    /// How a call stands.
    public func fetch(_ callSid: String) async throws(TwilioError) -> TwilioCall {
        try await decoded(send(.GET, path(callSid)))
    }

    /// The newest calls between two numbers, or to one from any, at most fifty.
    ///
    /// They are not asked for by their start: one that waits to be dialled has none yet.
    public func calls(to: String, from: String? = nil) async throws(TwilioError) -> [TwilioCall] {
        var query = FormFields(["To": to, "PageSize": "50"])
        if let from { query.append("From", from) }
        let page: TwilioCall.Page = try await decoded(send(.GET, "Calls.json?\(query.encoded)"))
        return page.calls
    }

    /// Changes a call that has not ended.
    @discardableResult
    public func update(_ callSid: String, _ change: TwilioCallChange) async throws(TwilioError) -> TwilioCall {
        try await decoded(send(.POST, path(callSid), form: change.form))
    }

    /// Completes a call. A failure is logged and otherwise ignored: the end of the stream ends the call as well.
    public func complete(callSid: String, logger: Logger) async {
        do {
            try await update(callSid, .hangUp)
        } catch {
            // The caller was faster.
            if error.isOver { return }
            logger.warning(
                error.status == nil
                    ? "the carrier could not be asked to complete the call" : "the carrier did not complete the call",
                metadata: ["error": "\(error)"])
        }
    }

    // MARK: Requests

    private func path(_ callSid: String) -> String {
        "Calls/\(callSid.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "").json"
    }

    private func send(
        _ method: HTTPMethod, _ path: String, form: FormFields? = nil, timeout: TimeAmount? = nil
    ) async throws(TwilioError) -> ByteBuffer {
        var pause = Self.firstPause
        for attempt in 1... {
            do {
                return try await sendOnce(method, path, form, timeout ?? self.timeout)
            } catch {
                guard attempt < Self.attempts, error.mayBeRepeated else { throw error }
                if let wait = error.retryAfter, wait > Self.longestPause { throw error }
                let asked = error.retryAfter.map { Duration.seconds($0) } ?? .zero
                do {
                    try await self.pause(max(asked, pause + pause * Double.random(in: 0...0.5)))
                } catch _ {
                    throw error
                }
                pause *= 2
            }
        }
        // Not reached: the last attempt throws.
        throw TwilioError(.notSent, "no attempt was made")
    }

    private func sendOnce(
        _ method: HTTPMethod, _ path: String, _ form: FormFields?, _ timeout: TimeAmount
    ) async throws(TwilioError) -> ByteBuffer {
        var request = HTTPClientRequest(url: "\(baseURL)/2010-04-01/Accounts/\(accountSid)/\(path)")
        request.method = method
        let credentials = Data("\(accountSid):\(authToken.reveal())".utf8).base64EncodedString()
        request.headers.add(name: "Authorization", value: "Basic \(credentials)")
        request.headers.add(name: "Accept", value: "application/json")
        if let form {
            request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
            request.body = .bytes(ByteBuffer(string: form.encoded))
        }
        let status: HTTPResponseStatus
        let retryAfter: Int?
        let body: ByteBuffer
        do {
            let response = try await client.execute(request, timeout: timeout)
            status = response.status
            retryAfter = response.headers.first(name: "Retry-After").flatMap(Int.init).map { max(0, $0) }
            body = try await response.body.collect(upTo: Self.maximumAnswer)
        } catch {
            throw TwilioError(transport: error)
        }
        guard (200..<300).contains(status.code) else {
            throw TwilioError(status: Int(status.code), body: Array(body.readableBytesView), retryAfter: retryAfter)
        }
        return body
    }

    private func decoded<T: Decodable>(_ body: ByteBuffer) throws(TwilioError) -> T {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(T.self, from: Data(body.readableBytesView))
        } catch _ {
            // It was taken; what became of it is not known.
            throw TwilioError(.uncertain, "Twilio's answer cannot be read")
        }
    }
}

extension TwilioError {
    /// From what the HTTP client throws.
    init(transport error: any Error) {
        let cause = (error as? NIOConnectionError)?.connectionErrors.first?.error ?? error
        let reason = (cause as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(cause)"
        if Self.isBeforeTheFirstByte(error) {
            self.init(.notSent, "Twilio cannot be reached: \(reason.prefix(200))")
        } else {
            self.init(.uncertain, "Twilio's answer did not come: \(reason.prefix(200))")
        }
    }

    /// Only what is known for sure: for anything else the request may be on its way.
    private static func isBeforeTheFirstByte(_ error: any Error) -> Bool {
        switch error {
        case is NIOConnectionError: true
        case let error as IOError: [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH].contains(error.errnoCode)
        case let error as ChannelError: if case .connectTimeout = error { true } else { false }
        case let error as HTTPClientError:
            [.connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout, .alreadyShutdown].contains(error)
        // Certificates and versions are agreed before the request.
        case let error as NIOSSLError: if case .handshakeFailed = error { true } else { false }
        default: false
        }
    }
}
