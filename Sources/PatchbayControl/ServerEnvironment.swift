public import Configuration
public import Foundation
import PatchbayConfig
import PatchbayCore
import SystemPackage

/// What the environment and an `.env` file say, the environment first.
public struct ServerEnvironment: Sendable {
    /// Every variable with its value, for `{ "env": … }` in documents.
    public let variables: [String: String]
    private let reader: ConfigReader

    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    /// - Parameters:
    ///   - process: The process's environment.
    ///   - file: An `.env` file; `nil` takes `.env` in the working directory if there is one.
    /// - Throws: ``Failure`` when a named file is missing or malformed.
    public init(process: [String: String] = ProcessInfo.processInfo.environment, file: String? = nil) async throws {
        let path = file ?? ".env"
        let fromFile: EnvironmentVariablesProvider
        do {
            fromFile = try await EnvironmentVariablesProvider(
                environmentFilePath: FilePath(path), allowMissing: file == nil)
        } catch {
            throw Failure(description: "\(path) cannot be read: \(error)")
        }
        var variables: [String: String] = [:]
        for name in Self.names(inFile: path) { variables[name] = try fromFile.environmentValue(forName: name) }
        self.variables = variables.merging(process) { $1 }
        reader = ConfigReader(providers: [EnvironmentVariablesProvider(environmentVariables: process), fromFile])
    }

    /// The first of several settings that is there and not empty. `public.url` asks for `PUBLIC_URL`.
    public func first(_ keys: ConfigKey...) -> String? {
        for key in keys {
            if let value = reader.string(forKey: key), !value.isEmpty { return value }
        }
        return nil
    }

    /// Server options as the environment sets them; flags come on top.
    public var options: ServerOptions {
        var options = ServerOptions()
        options.publicURL = first("public.url", "app.base.url", "api.url")
        options.twilioAccountSid = first("twilio.account.sid")
        options.twilioAuthToken = first("twilio.auth.token").map(Secret.init)
        options.twilioBaseURL = first("twilio.base.url") ?? options.twilioBaseURL
        options.twilioPhoneNumber = first("twilio.phone.number")
        options.agentPhoneNumber = first("elevenlabs.phone.number").flatMap { PhoneNumber($0)?.description }
        options.adminToken = first("patchbay.admin.token").map(Secret.init)
        options.elevenLabsWebhookSecret = first("elevenlabs.webhook.secret").map(Secret.init)
        options.jwtSecret = first("jwt.secret").map(Secret.init)
        return options
    }

    /// The variables' names, which the configuration library does not list.
    private static func names(inFile path: String) -> [String] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        return text.split(whereSeparator: \.isNewline).compactMap { line in
            let line = line.drop { $0.isWhitespace }
            guard !line.hasPrefix("#"), let equals = line.firstIndex(of: "=") else { return nil }
            return line[..<equals].split(separator: " ").last.map(String.init)
        }
    }
}
