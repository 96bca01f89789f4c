public import ArgumentParser
import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import Patchbay
import ServiceLifecycle
import UnixSignals

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answers calls: webhooks, media streams and the control plane on one port.",
        discussion: """
            EXAMPLES
              patchbay serve
              patchbay serve Pipelines/echo.json --port 9000 --public-url https://voice.example.com
              patchbay serve --agent echo --insecure-skip-signatures

            SETTINGS come from flags, then the environment, then the .env file:
              PUBLIC_URL (or APP_BASE_URL, API_URL)   where the world reaches this server
              TWILIO_AUTH_TOKEN                       checks the signatures of webhooks and streams
              TWILIO_ACCOUNT_SID                      with the token: completes calls over Twilio's REST API
              PATCHBAY_ADMIN_TOKEN                    opens /calls and /metrics beyond this machine
              PATCHBAY_CA_FILE                        PEM file of authorities to trust for agents behind TLS

            SIGTERM and Ctrl-C drain: /ready turns 503, new calls hear why, running calls finish.
            """)

    @Argument(help: "Folder or file with pipelines.") var pipelines = "Pipelines"
    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0 takes any free one.") var port = 8080
    @Option(help: "Where the world reaches this server, for instance https://voice.example.com.") var publicUrl: String?
    @Option(help: "Address of a proxy whose X-Forwarded headers are believed; may be repeated.") var trustedProxy:
        [String] = []
    @Option(help: "Longest wait for running calls at shutdown, in seconds. (default: 600, or server.json's)")
    var drainTimeout: Int?
    @Option(help: "Validity of a stream's one-time token, in seconds. (default: 120, or server.json's)")
    var streamTokenTtl: Int?
    @Option(help: "Folder for a file with every message of every call, without secrets. For work on faults.")
    var wireLog: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical") var logLevel = Logger.Level.info
    @Flag(help: "Accept webhooks without a valid signature. Never on a public address.") var insecureSkipSignatures =
        false
    @OptionGroup var options: PipelineOptions

    func validate() throws {
        guard (0...65535).contains(port) else { throw ValidationError("--port is \(port); allowed are 0 to 65535") }
        if let publicUrl, !publicUrl.hasPrefix("https://"), !publicUrl.hasPrefix("http://") {
            throw ValidationError(
                "--public-url is \"\(publicUrl)\"; it begins with https:// (or http:// for work at the desk)")
        }
        if let drainTimeout, drainTimeout < 0 {
            throw ValidationError("--drain-timeout is \(drainTimeout); allowed is 0 or more")
        }
        if let streamTokenTtl, !(10...3600).contains(streamTokenTtl) {
            throw ValidationError("--stream-token-ttl is \(streamTokenTtl); allowed are 10 to 3600 seconds")
        }
    }

    func run() async throws {
        try await HTTPClient.withPromptClient { try await serve(with: $0) }
    }

    private func serve(with httpClient: HTTPClient) async throws {
        let environment = try await options.environment()
        let set = try options.pipelines([pipelines], try .standard(httpClient: httpClient), environment)
        let (settings, diagnostics) = ServerSettings.load(directory: pipelines)
        if !diagnostics.isEmpty { Terminal.note(diagnostics.page) }
        guard !diagnostics.hasErrors else { throw ExitCode.badDocument }
        var server = environment.options
        server.host = host
        server.port = port
        server.publicURL = publicUrl ?? server.publicURL
        server.trustedProxies = Set(trustedProxy)
        server.skipsSignatures = insecureSkipSignatures
        server.drainTimeout = drainTimeout.map { .seconds(Int64($0)) }
        server.streamTokenLifetime = streamTokenTtl.map { .seconds(Int64($0)) }

        let logger = Logging.make(logLevel)
        if let wireLog { server.wireLog = try makeWireLog(wireLog, environment, logger) }
        PrometheusMetrics.bootstrap()
        warn(about: server, logger)
        let announced = server
        let patchbay = PatchbayServer(
            pipelines: set, settings: settings, options: server,
            tls: try WebSocketTLS.makeContext(caFile: environment.variables["PATCHBAY_CA_FILE"]),
            httpClient: httpClient,
            logger: logger,
            started: { address in
                announce(set, settings, announced, port: address.port ?? announced.port)
            })
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [.init(service: patchbay)], logger: logger))
        let signals = Task {
            var isDraining = false
            for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
                if isDraining {
                    Terminal.note("ending the calls that are left")
                    await patchbay.switchboard.endRunningCalls()
                } else {
                    isDraining = true
                    Terminal.note("no new calls; running ones may finish; a second signal ends them")
                    await group.triggerGracefulShutdown()
                }
            }
        }
        defer {
            signals.cancel()
            announced.wireLog?.finish()
            RecordingWriter.shared.finish()
        }
        do {
            try await group.run()
        } catch let error as IOError {
            throw CommandFailure(
                description:
                    "cannot listen on \(host):\(port): \(error.words); choose another --port, or end what uses it")
        }
    }

    private func makeWireLog(
        _ directory: String, _ environment: ServerEnvironment, _ logger: Logger
    ) throws -> WireLog {
        let credentials = environment.variables.filter { Diagnostic.isCredentialName($0.key) }.values.map(Secret.init)
        do {
            return try WireLog(directory: directory, secrets: credentials, logger: logger)
        } catch {
            throw CommandFailure(description: "--wire-log: \(error)")
        }
    }

    private func warn(about options: ServerOptions, _ logger: Logger) {
        if options.skipsSignatures {
            logger.warning("webhook signatures are NOT checked (--insecure-skip-signatures): anybody can start calls")
        } else if options.twilioAuthToken == nil {
            logger.warning(
                "TWILIO_AUTH_TOKEN is not set: every webhook will be refused; set it, or pass --insecure-skip-signatures for work on this machine"
            )
        }
    }

    private func announce(_ set: PipelineSet, _ settings: ServerSettings, _ options: ServerOptions, port: Int) {
        let base = options.publicURL ?? "http://\(options.host):\(port)"
        Terminal.note("patchbay listens on \(options.host):\(port)")
        for document in set.documents {
            let numbers = document.numbers.map { $0.pattern.description }.joined(separator: ", ")
            Terminal.note(
                "  \(document.name.padded(to: 14)) \(numbers)  (\(document.file), version \(document.version))")
        }
        Terminal.note("voice webhook: \(base)\(settings.paths(.voice).first ?? "")")
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

enum Logging {
    /// Logs on standard error: results stay alone on standard output.
    static func make(_ level: Logger.Level) -> Logger {
        var logger = Logger(label: "patchbay") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = level
        return logger
    }
}
