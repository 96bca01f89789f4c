public import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
public import PatchbayConfig

/// The part of Twilio's REST API that a running call needs.
///
/// https://www.twilio.com/docs/voice/api/call-resource
public struct TwilioREST: Sendable {
    private let client: HTTPClient
    private let baseURL: String
    private let accountSid: String
    private let authToken: Secret

    public init(client: HTTPClient, baseURL: String, accountSid: String, authToken: Secret) {
        self.client = client
        self.baseURL = baseURL
        self.accountSid = accountSid
        self.authToken = authToken
    }

    /// `nil` without the credentials for it.
    init?(_ client: HTTPClient, _ options: ServerOptions) {
        guard let sid = options.twilioAccountSid, let token = options.twilioAuthToken else { return nil }
        self.init(client: client, baseURL: options.twilioBaseURL, accountSid: sid, authToken: token)
    }

    /// Completes a call. A failure is logged and otherwise ignored: the end of the stream ends the call as well.
    func complete(callSid: String, logger: Logger) async {
        guard let sid = callSid.addingPercentEncoding(withAllowedCharacters: .alphanumerics) else { return }
        var request = HTTPClientRequest(url: "\(baseURL)/2010-04-01/Accounts/\(accountSid)/Calls/\(sid).json")
        request.method = .POST
        let credentials = Data("\(accountSid):\(authToken.reveal())".utf8).base64EncodedString()
        request.headers.add(name: "Authorization", value: "Basic \(credentials)")
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        request.body = .bytes(ByteBuffer(string: "Status=completed"))
        do {
            let response = try await client.execute(request, timeout: .seconds(5))
            _ = try? await response.body.collect(upTo: 64 * 1024)
            // 404: the caller was faster.
            guard (200..<300).contains(response.status.code) || response.status == .notFound else {
                logger.warning("the carrier did not complete the call", metadata: ["status": "\(response.status.code)"])
                return
            }
        } catch {
            logger.warning("the carrier could not be asked to complete the call", metadata: ["error": "\(error)"])
        }
    }
}
