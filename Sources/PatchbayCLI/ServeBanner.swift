import Foundation
import Logging
import Patchbay

/// What a server says of itself when it begins to serve: for people as lines, for machines in its log.
struct ServeBanner: Sendable {
    /// Pipelines that are listed, and numbers of each.
    private static let pipelineLimit = 50
    private static let numberLimit = 5

    var set: PipelineSet
    var settings: ServerSettings
    var options: ServerOptions
    /// Where calls are remembered; `nil` for memory.
    var records: String?

    /// Says it: on standard error in words, or in the log when that is read by machines.
    func show(port: Int, _ log: ServeLog) {
        switch log.format {
        case .text: for line in lines(port: port) { Terminal.note(line) }
        case .json:
            log.logger.notice(
                "listening",
                metadata: [
                    "host": "\(options.host)", "port": "\(port)", "voice": "\(voiceURL(port))",
                    "records": "\(records ?? "memory")",
                    "pipelines": .array(set.documents.map { "\($0.name)" }),
                    "unchecked": .array(unchecked.map { "\($0)" }),
                ])
        }
    }

    private func voiceURL(_ port: Int) -> String {
        let scheme = options.tls == nil ? "http" : "https"
        return (options.publicAddress?.description ?? "\(scheme)://\(options.host):\(port)")
            + (settings.paths(.voice).first ?? "")
    }

    private func lines(port: Int) -> [String] {
        var lines = ["patchbay listens on \(options.host):\(port)"]
        for document in set.documents.prefix(Self.pipelineLimit) {
            let count = document.numbers.count
            let numbers =
                document.numbers.prefix(Self.numberLimit).map { $0.pattern.description }.joined(separator: ", ")
                + (count > Self.numberLimit ? " and \(count - Self.numberLimit) more" : "")
            lines.append(
                "  \(document.name.padded(to: 14)) \(numbers)  (\(document.file), version \(document.version))")
        }
        if set.documents.count > Self.pipelineLimit {
            lines.append("  and \(set.documents.count - Self.pipelineLimit) more pipelines")
        }
        lines.append("voice webhook: \(voiceURL(port))")
        lines.append("paths:")
        for (name, keys, note) in groups {
            lines.append("  \(name.padded(to: 14)) \(keys.flatMap(settings.paths).joined(separator: " "))\(note)")
        }
        lines.append("records: \(records ?? "in memory until the server stops; --store names a folder")")
        return lines + unchecked.map { "!! \($0)" }
    }

    /// Paths by who may ask them.
    private var groups: [(name: String, keys: [ServerSettings.PathKey], note: String)] {
        let carrier: [ServerSettings.PathKey] = [.voice, .status, .next, .error, .connect, .machine, .carrierTest]
        let vendor: [ServerSettings.PathKey] = [.postCall, .initiation, .tools]
        let sockets: [ServerSettings.PathKey] = [.stream, .browser]
        let everybody =
            [.health, .ready] + ServerSettings.PathKey.allCases.filter(settings.publicPaths.contains)
        let operators = ServerSettings.PathKey.allCases.filter { key in
            ![carrier, vendor, sockets, everybody].contains { $0.contains(key) }
        }
        return [
            ("carrier", carrier, ""), ("vendor", vendor, ""), ("sockets", sockets, ""), ("everybody", everybody, ""),
            ("operators", operators, "  (this machine, or a token)"),
        ]
    }

    /// Checks that are off, and what follows from it.
    var unchecked: [String] {
        var texts: [String] = []
        if let secret = options.jwtSecret, secret.reveal().utf8.count < 32 {
            texts.append("JWT_SECRET has less than 32 bytes, so that it can be guessed (RFC 7518, section 3.2)")
        }
        if options.skipsSignatures {
            texts.append(
                """
                webhook signatures are NOT checked (--insecure-skip-signatures): anybody can start calls, write what was said \
                in them, and have tools run
                """)
        } else if options.twilioAuthToken == nil {
            texts.append(
                "TWILIO_AUTH_TOKEN is not set: every webhook will be refused; set it, or pass --insecure-skip-signatures for work on this machine"
            )
        }
        return texts
    }
}
