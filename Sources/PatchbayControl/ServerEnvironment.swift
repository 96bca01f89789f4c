public import Configuration
public import Foundation
import PatchbayConfig
import PatchbayCore

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
    public init(process: [String: String] = ProcessInfo.processInfo.environment, file: String? = nil) throws {
        let fromFile = try Self.variables(inFile: file ?? ".env", mayBeMissing: file == nil)
        variables = fromFile.merging(process) { $1 }
        reader = ConfigReader(providers: [
            EnvironmentVariablesProvider(environmentVariables: process),
            EnvironmentVariablesProvider(environmentVariables: fromFile),
        ])
    }

    private static func variables(inFile path: String, mayBeMissing: Bool) throws(Failure) -> [String: String] {
        let text: String
        do {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            guard attributes[.type] as? FileAttributeType != .typeDirectory else {
                throw Failure(description: "\(path) cannot be read: it is a folder; name the file in it")
            }
            guard (attributes[.size] as? Int ?? 0) <= EnvironmentFile.maximumBytes else {
                throw Failure(description: "\(path) is larger than \(EnvironmentFile.maximumBytes) bytes")
            }
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch let failure as Failure {
            throw failure
        } catch {
            let isMissing = !FileManager.default.fileExists(atPath: path)
            if isMissing, mayBeMissing { return [:] }
            throw Failure(
                description: "\(path) cannot be read: "
                    + (isMissing ? "it does not exist" : "it is no text in UTF-8, or not ours to read"))
        }
        do {
            return try EnvironmentFile(parsing: text).variables
        } catch {
            throw Failure(description: "\(path), \(error)")
        }
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
}
