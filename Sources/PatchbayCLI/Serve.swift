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
              patchbay serve --watch

            SETTINGS come from flags, then the environment, then the .env file:
              PUBLIC_URL (or APP_BASE_URL, API_URL)   where the world reaches this server
              TWILIO_AUTH_TOKEN                       checks the signatures of webhooks and streams
              TWILIO_ACCOUNT_SID                      with the token: completes calls over Twilio's REST API
              PATCHBAY_ADMIN_TOKEN                    opens /calls and /metrics beyond this machine
              PATCHBAY_STORE                          folder for the records of calls
              PATCHBAY_CA_FILE                        PEM file of authorities to trust for agents behind TLS

            A file answers for its own pipeline, and for those beside it that its rules lead to.

            SIGTERM and Ctrl-C drain: /ready turns 503, new calls hear why, running calls finish. SIGHUP, `patchbay reload`
            and, with --watch, every change of a file read the pipelines again: running calls keep theirs, and a set with
            errors, or with no pipeline at all, changes nothing. server.json is read at the start only.
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
    @Option(help: "Folder for the records of calls. (default: PATCHBAY_STORE, or in memory until the server stops)")
    var store: String?
    @Option(help: "Folder for a file with every message of every call, without secrets. For work on faults.")
    var wireLog: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical") var logLevel = Logger.Level.info
    @Flag(help: "Read the pipelines again whenever one of their files changes.") var watch = false
    @Flag(help: "Accept webhooks without a valid signature. Never on a public address.") var insecureSkipSignatures =
        false
    @OptionGroup var options: PipelineOptions

    /// Pipelines that are listed at the start, and numbers of each.
    private static let announcedPipelines = 50
    private static let announcedNumbers = 5

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
        let registry = try ComponentRegistry.standard(httpClient: httpClient)
        // Before the files are read, so that no change between is missed.
        let fileWatch = watch ? FileWatch(pipelines) : nil
        let set = try options.pipelines([pipelines], registry, environment)
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
        let envFile = options.envFile
        let source = PipelineSource.files(
            [pipelines], registry: registry, options: LoadOptions(agentOverride: options.agent),
            environment: { try await ServerEnvironment(file: envFile).variables })
        let patchbay = PatchbayServer(
            pipelines: set, source: source, settings: settings, options: server,
            tls: try WebSocketTLS.makeContext(caFile: environment.variables["PATCHBAY_CA_FILE"]),
            httpClient: httpClient, records: try makeStore(environment, logger),
            logger: logger,
            started: { address in
                announce(set, settings, announced, port: address.port ?? announced.port)
            })
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [.init(service: patchbay)], logger: logger))
        let signals = Task {
            var isDraining = false
            for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup) {
                if signal == .sighup {
                    // Not awaited here: a signal to end must not wait for a load.
                    Task { await patchbay.switchboard.reload(.signal) }
                } else if isDraining {
                    Terminal.note("ending the calls that are left")
                    await patchbay.switchboard.endRunningCalls()
                } else {
                    isDraining = true
                    Terminal.note("no new calls; running ones may finish; a second signal ends them")
                    await group.triggerGracefulShutdown()
                }
            }
        }
        let watching = fileWatch.map { watch in
            Terminal.note("watching \(pipelines) for changes")
            return Task { await Self.reload(patchbay.switchboard, when: watch) }
        }
        defer {
            signals.cancel()
            watching?.cancel()
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

    private static func reload(_ switchboard: Switchboard, when watch: FileWatch) async {
        var watch = watch
        watch.watch(also: files(of: switchboard), missing: missingFiles(of: switchboard))
        while let changes = await watch.next() {
            if changes.contains(watch.serverSettings) {
                Terminal.note("\(watch.serverSettings) changed; it is read at the start only: restart to apply it")
            }
            guard changes.contains(where: watch.isPipeline) else { continue }
            await switchboard.reload(.watch)
            watch.watch(also: files(of: switchboard), missing: missingFiles(of: switchboard))
        }
    }

    /// The fragments in force, and the files whose mistakes keep a newer set from being so.
    private static func files(of switchboard: Switchboard) -> Set<String> {
        var files = Set(switchboard.pipelineSet.documents.flatMap(\.fragments))
        for finding in switchboard.store.lastFailure?.diagnostics ?? [] where !finding.file.isEmpty {
            files.insert(finding.file)
        }
        return files
    }

    /// The files whose absence keeps a newer set from being in force: fragments.
    private static func missingFiles(of switchboard: Switchboard) -> Set<String> {
        Set((switchboard.store.lastFailure?.diagnostics ?? []).compactMap(\.neededFile))
    }

    private func makeStore(_ environment: ServerEnvironment, _ logger: Logger) throws -> any Store {
        do {
            if let directory = store ?? environment.first("patchbay.store") { return try SQLiteStore(directory: directory) }
            logger.info("records are kept in memory until the server stops; --store names a folder for them")
            return try SQLiteStore()
        } catch {
            throw CommandFailure(description: "--store: \(error)")
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
        for document in set.documents.prefix(Self.announcedPipelines) {
            let count = document.numbers.count
            let numbers =
                document.numbers.prefix(Self.announcedNumbers).map { $0.pattern.description }.joined(separator: ", ")
                + (count > Self.announcedNumbers ? " and \(count - Self.announcedNumbers) more" : "")
            Terminal.note(
                "  \(document.name.padded(to: 14)) \(numbers)  (\(document.file), version \(document.version))")
        }
        if set.documents.count > Self.announcedPipelines {
            Terminal.note("  and \(set.documents.count - Self.announcedPipelines) more pipelines")
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
