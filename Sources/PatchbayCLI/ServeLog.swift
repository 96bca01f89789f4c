public import ArgumentParser
import Logging
public import Patchbay

/// Where a server writes what happens.
struct ServeLog: Sendable {
    let format: LogFormat
    let logger: Logger
    private let output: LogOutput

    /// - Parameter choice: Of the flag; else the environment's, else text.
    /// - Throws: When the environment names a format that there is not.
    init(_ choice: LogFormat?, _ level: Logger.Level, _ environment: ServerEnvironment) throws {
        let format: LogFormat
        if let choice {
            format = choice
        } else if let name = environment.first("patchbay.log.format") {
            guard let known = LogFormat(rawValue: name) else {
                let names = LogFormat.allCases.map(\.rawValue).joined(separator: " or ")
                throw CommandFailure(description: "PATCHBAY_LOG_FORMAT is \"\(name)\"; allowed are \(names)")
            }
            format = known
        } else {
            format = .text
        }
        let secrets = environment.variables.filter { Diagnostic.isCredentialName($0.key) }.values.map(Secret.init)
        let output = LogOutput(format, secrets: secrets)
        self.output = output
        self.format = format
        logger = output.logger(level)
        // What has no logger of the server's, for instance the writer of recordings, writes here too.
        LoggingSystem.bootstrap { _ in output.handler(level) }
        PrometheusMetrics.shared.watch(queue: "log") { output.waitingBytes }
    }

    /// A remark for whoever stands beside.
    func note(_ text: String) {
        switch format {
        case .text: Terminal.note(text)
        case .json: logger.notice("\(text)")
        }
    }

    /// Writes what waits. For the end of the process.
    func finish() { output.finish() }
}

extension LogFormat: ExpressibleByArgument {}
