import ArgumentParser
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Patchbay

/// Options of every command that speaks with a running server.
struct ServerConnection: ParsableArguments {
    @Option(help: "Origin of the server. (default: PATCHBAY_SERVER, or http://127.0.0.1:8080)") var server: String?
    @Option(help: "What opens the server's paths. (default: PATCHBAY_ADMIN_TOKEN, or a local server's own token)")
    var token: String?
    @Option(help: "The folder that the server's --store names, for its own token. (default: PATCHBAY_STORE)")
    var store: String?
    @Option(name: .customLong("env-file"), help: "File with settings. (default: .env, if there is one)") var envFile:
        String?

    func validate() throws {
        if let server { try Self.check(server, "--server") }
    }

    /// Who the server is, and what is shown to it.
    func client(_ httpClient: HTTPClient) async throws -> ServerClient {
        let environment = try await ServerEnvironment.read(envFile)
        let named = server ?? environment.first("patchbay.server") ?? "http://127.0.0.1:8080"
        try Self.check(named, "PATCHBAY_SERVER")
        let origin = named.hasSuffix("/") ? String(named.dropLast()) : named
        var secret = token.map { Secret($0) } ?? environment.options.adminToken
        // A token of this machine is nobody else's business.
        if secret == nil, Self.isLocal(origin) {
            let place = LocalToken(
                store: store ?? environment.first("patchbay.store"), environment: environment.variables)
            do {
                secret = try place?.read()
            } catch {
                Terminal.note("\(error)")
            }
        }
        return ServerClient(origin: origin, token: secret, httpClient: httpClient)
    }

    private static func check(_ server: String, _ name: String) throws {
        guard server.hasPrefix("http://") || server.hasPrefix("https://") else {
            throw ValidationError("\(name) is \"\(server)\"; it begins with http:// or https://")
        }
    }

    private static func isLocal(_ origin: String) -> Bool {
        guard let host = URLComponents(string: origin)?.host else { return false }
        return host == "localhost" || host == "::1" || host == "[::1]" || host.hasPrefix("127.")
    }
}

/// A running server, as commands speak with it.
struct ServerClient: Sendable {
    /// What it answered.
    struct Answer: Sendable {
        var status: Int
        var body: ByteBuffer

        var text: String { String(buffer: body) }
        func decoded<Value: Decodable>(as type: Value.Type) -> Value? {
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .iso8601
            return try? decoder.decode(type, from: Data(body.readableBytesView))
        }
        /// What Hummingbird's form of an error says.
        var message: String? { decoded(as: Refusal.self)?.error.message }

        private struct Refusal: Decodable {
            struct Error: Decodable { var message: String }
            var error: Error
        }
    }

    let origin: String
    let token: Secret?
    let httpClient: HTTPClient

    /// Longest answer that is read, in bytes; a thousand pipelines are a fifth of a megabyte.
    static let maximumAnswer = 16 << 20

    /// A request with the token, to be changed and executed.
    func request(_ method: HTTPMethod, _ path: String, json body: String? = nil) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: origin + path)
        request.method = method
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token.reveal())") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(string: body))
        }
        return request
    }

    /// Asks, and reads the whole answer.
    ///
    /// - Throws: ``CommandFailure`` when the server cannot be reached, or its answer is too long.
    func send(
        _ method: HTTPMethod, _ path: String, json body: String? = nil, headers: [(String, String)] = [],
        timeout: TimeAmount = .seconds(60)
    ) async throws -> Answer {
        do {
            var request = request(method, path, json: body)
            for (name, value) in headers { request.headers.add(name: name, value: value) }
            let response = try await httpClient.execute(request, timeout: timeout)
            return Answer(
                status: Int(response.status.code), body: try await response.body.collect(upTo: Self.maximumAnswer))
        } catch {
            throw unreachable(error)
        }
    }

    /// The server could not be asked.
    func unreachable(_ error: any Error) -> CommandFailure {
        CommandFailure(description: "\(origin) could not be asked: \(error.words)")
    }

    /// What is said of an answer that is none of those expected.
    ///
    /// - Parameter missing: What is said of 404.
    func failure(_ answer: Answer, missing: String) -> CommandFailure {
        let reason = answer.message.map { ": \($0)" } ?? ""
        let description =
            switch answer.status {
            case 401:
                token == nil
                    ? "\(origin) asks for a token; set PATCHBAY_ADMIN_TOKEN to the server's, or pass --token"
                    : "\(origin) does not take the token\(reason); set PATCHBAY_ADMIN_TOKEN to the server's, or pass --token"
            case 403: "\(origin) refuses\(reason)"
            case 404: missing
            case 409: "\(origin) cannot do that\(reason)"
            default: "\(origin) answers \(answer.status)\(reason)"
            }
        return CommandFailure(description: description)
    }
}
