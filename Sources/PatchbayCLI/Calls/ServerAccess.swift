import ArgumentParser
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Patchbay

/// How a command finds a running server, and proves that it may ask.
struct ServerAccess: ParsableArguments {
    @Option(help: "Origin of the server. (default: PATCHBAY_SERVER, or http://127.0.0.1:8080)") var server: String?
    @Option(help: "What opens the server's admin paths. (default: PATCHBAY_ADMIN_TOKEN)") var token: String?
    @Option(help: "Path of the server's calls, as its server.json has it.") var path = "/calls"
    @Option(name: .customLong("env-file"), help: "File with settings. (default: .env, if there is one)") var envFile:
        String?

    func validate() throws {
        if let server { try Self.check(server, "--server") }
        guard path.hasPrefix("/") else { throw ValidationError("--path is \"\(path)\"; it begins with /") }
    }

    private static func check(_ server: String, _ name: String) throws {
        guard server.hasPrefix("http://") || server.hasPrefix("https://") else {
            throw ValidationError("\(name) is \"\(server)\"; it begins with http:// or https://")
        }
    }

    /// Speaks with the server.
    func withServer(_ body: (AskedServer) async throws -> Void) async throws {
        let environment = try await ServerEnvironment.read(envFile)
        var origin = server ?? environment.first("patchbay.server") ?? "http://127.0.0.1:8080"
        if server == nil { try Self.check(origin, "PATCHBAY_SERVER") }
        while origin.hasSuffix("/") { origin.removeLast() }
        let token = token ?? environment.options.adminToken?.reveal()
        try await HTTPClient.withPromptClient { client in
            try await body(AskedServer(origin: origin, token: token, path: path, client: client))
        }
    }
}

/// A running server that a command asks.
struct AskedServer {
    /// Longest answer that is read, in bytes: a thousand calls are a megabyte.
    private static let maximumAnswer = 16 << 20

    let origin: String
    let token: String?
    /// Where its calls are.
    let path: String
    let client: HTTPClient

    /// Asks and gives the text of the answer.
    func ask(_ path: String, method: HTTPMethod = .GET) async throws -> String {
        let (status, body) = try await send(path, method: method, timeout: .seconds(30))
        let text: String
        do {
            text = String(buffer: try await body.collect(upTo: Self.maximumAnswer))
        } catch {
            throw CommandFailure(description: "\(origin) broke its answer off: \(error.words)")
        }
        guard (200..<300).contains(status) else { throw refusal(status, text) }
        return text
    }

    /// Asks and reads the answer.
    func ask<Answer: Decodable>(_ path: String, method: HTTPMethod = .GET, as type: Answer.Type) async throws -> Answer
    {
        try read(try await ask(path, method: method), as: type)
    }

    func read<Answer: Decodable>(_ text: String, as type: Answer.Type) throws -> Answer {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            return try decoder.decode(type, from: Data(text.utf8))
        } catch {
            throw CommandFailure(description: "\(origin) answers something else; is it a patchbay?")
        }
    }

    /// Reads server-sent events, each as its id and its data, until the server ends them.
    ///
    /// - Returns: False when there was nothing more to read from the start.
    func follow(_ path: String, after id: String?, _ body: (_ id: String, _ data: String) throws -> Void) async throws
        -> Bool
    {
        let (status, answer) = try await send(path, method: .GET, timeout: .hours(24 * 365), lastID: id)
        guard status != 204 else { return false }
        guard status == 200 else {
            throw refusal(status, (try? await String(buffer: answer.collect(upTo: Self.maximumAnswer))) ?? "")
        }
        var waiting: [UInt8] = []
        var id = ""
        for try await chunk in answer {
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

    private func send(
        _ path: String, method: HTTPMethod, timeout: TimeAmount, lastID: String? = nil
    ) async throws -> (Int, HTTPClientResponse.Body) {
        var request = HTTPClientRequest(url: origin + path)
        request.method = method
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let lastID { request.headers.add(name: "Last-Event-ID", value: lastID) }
        do {
            let response = try await client.execute(request, timeout: timeout)
            return (Int(response.status.code), response.body)
        } catch {
            throw CommandFailure(
                description: "\(origin) could not be asked: \(error.words); --server or PATCHBAY_SERVER names another")
        }
    }

    private func refusal(_ status: Int, _ text: String) -> CommandFailure {
        struct Refusal: Decodable {
            struct Error: Decodable { var message: String }
            var error: Error
        }
        let message = (try? JSONDecoder().decode(Refusal.self, from: Data(text.utf8)))?.error.message.plainLine
        let reason = message.map { ": \($0)" } ?? ""
        let words =
            switch status {
            case 401:
                "\(origin) does not take the token\(reason); set PATCHBAY_ADMIN_TOKEN to the server's, or pass --token"
            case 403: "\(origin) refuses\(reason)"
            case 404 where message == nil:
                "\(origin) has nothing at \(path); --path names another place, as \"paths\" of its server.json has it"
            case 404: "\(message ?? "") at \(origin); `patchbay calls` lists those that there are"
            case 409: "\(origin) cannot do that\(reason)"
            default: "\(origin) answers \(status)\(reason)"
            }
        return CommandFailure(description: words)
    }
}

extension String {
    /// The text on one line that cannot move a terminal's cursor: agents and carriers wrote it.
    var plainLine: String {
        var line = ""
        for scalar in unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator: line += " "
            case .format: break
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line
    }

    /// As a part of a path.
    var pathPart: String {
        addingPercentEncoding(withAllowedCharacters: CharacterSet(charactersIn: "-._~").union(.alphanumerics)) ?? self
    }
}

/// A call as the server tells of it; what is not needed here is left out.
struct ToldCall: Decodable {
    struct Event: Decodable {
        var atMs: Int64
        var event, detail: String
    }

    var id, callSid, direction, from, to, pipeline, version, backend, state: String
    var startedAt: Date
    var endedAt: Date?
    var endReason, conversationId: String?
    var timeToFirstAudioMs, responseLatencyMs: Double?
    var interruptions, agentTakeovers: Int
    var recordings: [String]?
    var events: [Event]?
}

/// What was said in a call, as the server tells it.
struct ToldTranscript: Decodable {
    struct Turn: Decodable {
        var speaker, text, heard: String
        var interrupted: Bool
        var atMs: Int64
    }

    struct ToolCall: Decodable {
        var name, arguments: String
        var output: String?
        var error: Bool
        var atMs: Int64
        var milliseconds: Int64?
    }

    var turns: [Turn]
    var toolCalls: [ToolCall]
}
