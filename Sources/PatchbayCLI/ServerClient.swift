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

    /// Speaks with the server.
    func withServer(_ body: (ServerClient) async throws -> Void) async throws {
        let environment = try await ServerEnvironment.read(envFile)
        var origin = server ?? environment.first("patchbay.server") ?? "http://127.0.0.1:8080"
        try Self.check(origin, "PATCHBAY_SERVER")
        while origin.hasSuffix("/") { origin.removeLast() }
        let token =
            token.map { ServerClient.Token.given(Secret($0)) }
            ?? environment.options.adminToken.map { .given($0) } ?? localToken(for: origin, environment)
        try await HTTPClient.withPromptClient { client in
            try await body(ServerClient(origin: origin, token: token, httpClient: client))
        }
    }

    /// A token of this machine is nobody else's business.
    private func localToken(for origin: String, _ environment: ServerEnvironment) -> ServerClient.Token? {
        guard Self.isLocal(origin) else { return nil }
        let place = LocalToken(
            store: store ?? environment.first("patchbay.store"), environment: environment.variables)
        do {
            return try place?.read().map { .found($0) }
        } catch {
            Terminal.note("\(error)")
            return nil
        }
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
    /// What is shown to the server.
    enum Token: Sendable {
        /// Named for this server.
        case given(Secret)
        /// Found in the file of a server of this machine, which may be another one, or one of before.
        case found(Secret)

        var secret: Secret {
            switch self {
            case .given(let secret), .found(let secret): secret
            }
        }
    }

    /// What it answered.
    struct Answer: Sendable {
        var status: Int
        var body: ByteBuffer

        var isGood: Bool { (200..<300).contains(status) }
        var text: String { String(buffer: body) }
        func decoded<Value: Decodable>(as type: Value.Type) -> Value? {
            ServerClient.decoded(Data(body.readableBytesView), as: type)
        }
        /// What Hummingbird's form of an error says, on one line.
        var message: String? { decoded(as: Refusal.self)?.error.message.plainLine }

        private struct Refusal: Decodable {
            struct Error: Decodable { var message: String }
            var error: Error
        }
    }

    let origin: String
    let token: Token?
    let httpClient: HTTPClient

    /// Longest answer that is read, in bytes; a thousand pipelines are a fifth of a megabyte, a thousand calls one.
    private static let maximumAnswer = 16 << 20

    /// Asks, and reads the whole answer.
    ///
    /// - Throws: ``CommandFailure`` when the server cannot be reached, or its answer is too long.
    func send(
        _ method: HTTPMethod, _ path: String, json body: String? = nil, headers: [(String, String)] = [],
        timeout: TimeAmount = .seconds(60)
    ) async throws -> Answer {
        do {
            let response = try await execute(method, path, json: body, headers: headers, timeout: timeout)
            return Answer(
                status: Int(response.status.code), body: try await response.body.collect(upTo: Self.maximumAnswer))
        } catch {
            throw unreachable(error)
        }
    }

    private static let callHint = "; `patchbay calls` lists those that there are"

    /// Asks about calls, and reads a good answer.
    ///
    /// - Throws: ``CommandFailure`` for any other, in words.
    func ask(_ path: String, method: HTTPMethod = .GET) async throws -> String {
        let answer = try await send(method, path)
        guard answer.isGood else { throw failure(answer, at: path, hint: Self.callHint) }
        return answer.text
    }

    /// The same, of an answer that is JSON.
    func ask<Value: Decodable>(_ path: String, method: HTTPMethod = .GET, as type: Value.Type) async throws -> Value {
        try read(try await ask(path, method: method), as: type)
    }

    func read<Value: Decodable>(_ text: String, as type: Value.Type) throws -> Value {
        guard let value = Self.decoded(Data(text.utf8), as: type) else {
            throw CommandFailure(description: "\(origin) answers something else; is it a patchbay?")
        }
        return value
    }

    /// Reads server-sent events, each as its id and its data, until the server ends them.
    ///
    /// - Returns: False when there was nothing more to read from the start.
    func follow(
        _ path: String, after id: String?, _ body: (_ id: String, _ data: String) throws -> Void
    ) async throws -> Bool {
        let response: HTTPClientResponse
        do {
            response = try await execute(
                .GET, path, headers: id.map { [("Last-Event-ID", $0)] } ?? [], timeout: .hours(24 * 365))
        } catch {
            throw unreachable(error)
        }
        guard response.status != .noContent else { return false }
        guard response.status == .ok else {
            let text = (try? await response.body.collect(upTo: Self.maximumAnswer)) ?? ByteBuffer()
            throw failure(Answer(status: Int(response.status.code), body: text), at: path, hint: Self.callHint)
        }
        var waiting: [UInt8] = []
        var id = ""
        for try await chunk in response.body {
            waiting += chunk.readableBytesView
            guard waiting.count <= Self.maximumAnswer else { break }
            while let end = waiting.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: waiting[..<end], as: UTF8.self)
                waiting.removeSubrange(...end)
                if line.hasPrefix("id: ") { id = String(line.dropFirst(4)) }
                if line.hasPrefix("data: ") { try body(id, String(line.dropFirst(6))) }
            }
        }
        return true
    }

    private func execute(
        _ method: HTTPMethod, _ path: String, json body: String? = nil, headers: [(String, String)],
        timeout: TimeAmount
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: origin + path)
        request.method = method
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(string: body))
        }
        guard let token else { return try await httpClient.execute(request, timeout: timeout) }
        var shown = request
        shown.headers.add(name: "Authorization", value: "Bearer \(token.secret.reveal())")
        let response = try await httpClient.execute(shown, timeout: timeout)
        // A server lets this machine in without a token, but looks at each that is shown, also at one that is not its own.
        guard response.status == .unauthorized, case .found = token else { return response }
        let plain = try await httpClient.execute(request, timeout: timeout)
        return plain.status == .unauthorized ? response : plain
    }

    // MARK: Failures

    /// The server could not be asked.
    private func unreachable(_ error: any Error) -> CommandFailure {
        CommandFailure(
            description: "\(origin) could not be asked: \(error.words); --server or PATCHBAY_SERVER names another")
    }

    /// What is said of an answer that is none of those expected.
    ///
    /// - Parameters:
    ///   - options: Those that name another path.
    ///   - hint: What helps when the path is right, but what it names is not there.
    func failure(
        _ answer: Answer, at path: String, options: String = "--path names", hint: String = ""
    ) -> CommandFailure {
        let reason = answer.message.map { ": \($0)" } ?? ""
        let description =
            switch answer.status {
            case 401:
                token == nil
                    ? "\(origin) asks for a token; set PATCHBAY_ADMIN_TOKEN to the server's, or pass --token"
                    : "\(origin) does not take the token\(reason); set PATCHBAY_ADMIN_TOKEN to the server's, or pass --token"
            case 403: "\(origin) refuses\(reason)"
            case 404 where answer.message == nil:
                "\(origin) has nothing at \(path); \(options) another place, as \"paths\" of its server.json has it"
            case 404: "\(answer.message ?? "") at \(origin)\(hint)"
            case 409: "\(origin) cannot do that\(reason)"
            case 200..<300: "\(origin)\(path) answers something else; is it a patchbay?"
            default: "\(origin) answers \(answer.status)\(reason)"
            }
        return CommandFailure(description: description)
    }

    private static func decoded<Value: Decodable>(_ data: Data, as type: Value.Type) -> Value? {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try? decoder.decode(type, from: data)
    }
}
