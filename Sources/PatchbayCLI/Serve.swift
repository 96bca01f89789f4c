public import ArgumentParser
import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import Patchbay
import ServiceLifecycle
import Tracing
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
              patchbay serve --host 0.0.0.0 --port 443 --tls-certificate fullchain.pem --tls-key privkey.pem

            SETTINGS come from flags, then the environment, then the .env file:
              PUBLIC_URL (or APP_BASE_URL, API_URL)   where the world reaches this server
              TWILIO_AUTH_TOKEN                       checks the signatures of webhooks and streams
              TWILIO_ACCOUNT_SID                      with the token: completes calls over Twilio's REST API
              TWILIO_PHONE_NUMBER                     the number that calls come from which are dialled
              ELEVENLABS_PHONE_NUMBER                 the agent's number, where dialled calls are bridged to it
              ELEVENLABS_WEBHOOK_SECRET               checks the signatures of ElevenLabs' webhooks
              PATCHBAY_ADMIN_TOKEN                    opens /calls and /metrics beyond this machine
              JWT_SECRET                              opens them for JSON Web Tokens signed with it (HS256)
              PATCHBAY_STORE                          folder for the records of calls
              PATCHBAY_LOG_FORMAT                     text or json
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
    @Option(help: "Proxy whose X-Forwarded headers are believed: an address, or 10.0.0.0/8; may be repeated.")
    var trustedProxy: [String] = []
    @Option(help: "Longest wait for running calls at shutdown, in seconds. (default: 600, or server.json's)")
    var drainTimeout: Int?
    @Option(help: "Validity of a stream's one-time token, in seconds. (default: 120, or server.json's)")
    var streamTokenTtl: Int?
    @Option(help: "Folder for the records of calls. (default: PATCHBAY_STORE, or in memory until the server stops)")
    var store: String?
    @Option(help: "Folder for a file with every message of every call, without secrets. For work on faults.")
    var wireLog: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical") var logLevel = Logger.Level.info
    @Option(help: "File to which the spans of every call are appended, as lines of OTLP's JSON.") var traces: String?
    @Option(help: "text for people, json for machines. (default: PATCHBAY_LOG_FORMAT, or text)")
    var logFormat: LogFormat?
    @Option(help: "PEM file with the certificate of this server, which then speaks TLS itself.") var tlsCertificate:
        String?
    @Option(help: "PEM file with the key of that certificate.") var tlsKey: String?
    @Flag(help: "Read the pipelines again whenever one of their files changes.") var watch = false
    @Flag(help: "Accept webhooks without a valid signature. Never on a public address.") var insecureSkipSignatures =
        false
    @OptionGroup var options: PipelineOptions

    func validate() throws {
        guard (0...65535).contains(port) else { throw ValidationError("--port is \(port); allowed are 0 to 65535") }
        do throws(PublicURL.Fault) {
            if let publicUrl { _ = try PublicURL(publicUrl) }
        } catch {
            throw ValidationError("--public-url \(error)")
        }
        if let fault = trustedProxy.lazy.compactMap(ServerOptions.fault(ofProxy:)).first {
            throw ValidationError("--trusted-proxy: \(fault)")
        }
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            throw ValidationError(
                tlsKey == nil
                    ? "--tls-certificate needs --tls-key, the file with its key" : "--tls-key needs --tls-certificate")
        }
        if let drainTimeout, drainTimeout < 0 {
            throw ValidationError("--drain-timeout is \(drainTimeout); allowed is 0 or more")
        }
        if let streamTokenTtl, !(10...3600).contains(streamTokenTtl) {
            throw ValidationError("--stream-token-ttl is \(streamTokenTtl); allowed are 10 to 3600 seconds")
        }
    }

    func run() async throws {
        let traceFile = try makeTraceFile()
        // Before there are clients: each takes the tracer of its time.
        if let traceFile { InstrumentationSystem.bootstrap(traceFile) }
        defer { traceFile?.finish() }
        try await HTTPClient.withPromptClient { try await serve(with: $0) }
    }

    private func serve(with httpClient: HTTPClient) async throws {
        let environment = try await options.environment()
        let registry = try ComponentRegistry.standard(httpClient: httpClient)
        // Before the files are read, so that no change between is missed.
        let fileWatch = watch ? FileWatch(pipelines) : nil
        let set = try options.pipelines([pipelines], registry, environment)
        let (settings, diagnostics) = ServerSettings.load(
            directory: pipelines, environment: environment.variables)
        if !diagnostics.isEmpty { Terminal.note(diagnostics.page) }
        guard !diagnostics.hasErrors else { throw ExitCode.badDocument }
        var server = environment.options
        server.host = host
        server.port = port
        server.publicURL = publicUrl ?? server.publicURL
        server.trustedProxies = Set(trustedProxy)
        if let fault = server.fault {
            Terminal.note("error: \(fault)")
            throw ExitCode.badDocument
        }
        server.skipsSignatures = insecureSkipSignatures
        server.dataDirectory = store ?? environment.first("patchbay.store")
        server.drainTimeout = drainTimeout.map { .seconds(Int64($0)) }
        server.streamTokenLifetime = streamTokenTtl.map { .seconds(Int64($0)) }

        if let tlsCertificate, let tlsKey {
            server.tls = ServerTLS(certificateFile: tlsCertificate, keyFile: tlsKey)
        }
        let log = try ServeLog(logFormat, logLevel, environment)
        let logger = log.logger
        if let wireLog { server.wireLog = try makeWireLog(wireLog, environment, logger) }
        PrometheusMetrics.bootstrap()
        PrometheusMetrics.shared.describe(RecordingMetrics.all)
        let directory = store ?? environment.first("patchbay.store")
        let records = try makeStore(directory)
        provideToken(&server, environment, logger)
        let banner = ServeBanner(set: set, settings: settings, options: server, records: directory)
        for text in banner.unchecked { logger.warning("\(text)") }
        let announced = server
        let envFile = options.envFile
        let source = PipelineSource.files(
            [pipelines], registry: registry, options: LoadOptions(agentOverride: options.agent),
            environment: { try ServerEnvironment(file: envFile).variables })
        let patchbay = PatchbayServer(
            pipelines: set, source: source, settings: settings, options: server,
            tls: try WebSocketTLS.makeContext(caFile: environment.variables["PATCHBAY_CA_FILE"]),
            httpClient: httpClient, records: records, logger: logger,
            started: { address in
                banner.show(port: address.port ?? announced.port, log)
            })
        RecordingWriter.shared.addListener { report in
            if let path = report.path { patchbay.switchboard.recorded(path, ofCall: report.callID) }
        }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [.init(service: patchbay)], logger: logger))
        let signals = Task {
            var isDraining = false
            for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup) {
                if signal == .sighup {
                    // Not awaited here: a signal to end must not wait for a load.
                    Task { await patchbay.switchboard.reload(.signal) }
                } else if isDraining {
                    log.note("ending the calls that are left")
                    await patchbay.switchboard.endRunningCalls()
                } else {
                    isDraining = true
                    log.note("no new calls; running ones may finish; a second signal ends them")
                    await group.triggerGracefulShutdown()
                }
            }
        }
        let watching = fileWatch.map { watch in
            log.note("watching \(pipelines) for changes")
            return Task { await Self.reload(patchbay.switchboard, when: watch, log) }
        }
        defer {
            signals.cancel()
            watching?.cancel()
            announced.wireLog?.finish()
            RecordingWriter.shared.finish()
            log.finish()
        }
        do {
            try await group.run()
            // The last recordings are complete now, and belong to their calls' records.
            RecordingWriter.shared.finish()
            await patchbay.switchboard.flushRecords()
        } catch let error as StartFailure {
            throw CommandFailure(description: "\(error)")
        } catch {
            guard let failure = StartFailure(error, listeningOn: host, port: port) else { throw error }
            throw CommandFailure(description: "\(failure)")
        }
    }

    private static func reload(_ switchboard: Switchboard, when watch: FileWatch, _ log: ServeLog) async {
        var watch = watch
        watch.watch(also: files(of: switchboard), missing: missingFiles(of: switchboard))
        while let changes = await watch.next() {
            if changes.contains(watch.serverSettings) {
                log.note("\(watch.serverSettings) changed; it is read at the start only: restart to apply it")
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

    private func makeTraceFile() throws -> TraceFile? {
        do {
            return try traces.map { path in
                let file = try TraceFile(path)
                PrometheusMetrics.shared.watch(queue: "traces") { file.waitingBytes }
                return file
            }
        } catch {
            throw CommandFailure(description: "--traces: \(error)")
        }
    }

    private func makeStore(_ directory: String?) throws -> any Store {
        do {
            return try directory.map { try SQLiteStore(directory: $0) } ?? SQLiteStore()
        } catch {
            throw CommandFailure(description: "--store: \(error)")
        }
    }

    /// What costs money or moves a caller needs a token: without one of the operator's the server makes its own.
    private func provideToken(_ options: inout ServerOptions, _ environment: ServerEnvironment, _ logger: Logger) {
        guard options.adminToken == nil else { return }
        let place = LocalToken(store: store ?? environment.first("patchbay.store"), environment: environment.variables)
        do {
            options.adminToken = try place?.readOrMake()
            if let place { logger.info("the token of this server", metadata: ["file": "\(place.file)"]) }
        } catch {
            logger.warning(
                "this server has no token of its own; set PATCHBAY_ADMIN_TOKEN to dial and to transfer",
                metadata: ["error": "\(error)"])
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
