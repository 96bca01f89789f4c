import GRDB
import Hummingbird
public import Logging
public import Patchbay
public import ServiceLifecycle
import UnixSignals

/// The teams' own service: their data in SQLite, their HTTP API and, beside it on the same port, their telephone.
public struct FrontDeskService: Sendable {
    /// What is missing or wrong, in words for whoever starts the service.
    public struct Mistake: Error, CustomStringConvertible {
        public let description: String
    }

    let diary: Diary
    private let directory: String
    private let environment: ServerEnvironment
    private let logger: Logger

    /// - Parameter directory: Where the data is kept; made if there is none.
    public init(directory: String, environment: ServerEnvironment, logger: Logger) throws {
        diary = Diary(try DeskDatabase.open(directory: directory))
        self.directory = directory
        self.environment = environment
        self.logger = logger
    }

    /// Puts invented businesses in, to try things with.
    public func seed() async throws { try await Seed.plant(diary.database) }

    /// The HTTP API alone.
    public func backend(
        host: String, port: Int, started: @escaping @Sendable (Int) -> Void
    ) throws -> ServiceGroup {
        let router = Router(context: ControlContext.self)
        var vendor = ServerSettings.ElevenLabs()
        vendor.webhookSecrets = [environment.first("elevenlabs.webhook.secret")].compactMap { $0.map(Secret.init) }
        if let secret = environment.first("tool.secret").map(Secret.init) {
            vendor.secretHeader = .init(name: VendorProof.header, value: secret)
        }
        try addRoutes(to: router, vendor)
        router.get("health") { _, _ in try Reply.json(["status": "ok"]) }
        let application = Application(
            router: router, configuration: .init(address: .hostname(host, port: port)),
            onServerRunning: { started($0.localAddress?.port ?? port) }, logger: quiet)
        return ServiceGroup(services: [application], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
    }

    /// The HTTP API and the telephone, on one port.
    ///
    /// - Parameter folder: The pipelines, with `server.json` beside them.
    public func telephone(
        _ folder: String, host: String, port: Int, started: @escaping @Sendable (Int) -> Void
    ) throws -> ServiceGroup {
        let (settings, findings) = ServerSettings.load(directory: folder, environment: environment.variables)
        guard !findings.hasErrors else { throw Mistake(description: findings.rendered()) }
        // Before anything counts: what is counted earlier goes nowhere.
        PrometheusMetrics.bootstrap()
        let switchboard = try makeSwitchboard(folder, settings)
        let router = Router(context: ControlContext.self)
        try addRoutes(to: router, settings.elevenLabs)
        switchboard.addRoutes(to: router)
        let application = Application(
            router: router, server: .patchbay(switchboard),
            configuration: .init(address: .hostname(host, port: port)),
            onServerRunning: { started($0.localAddress?.port ?? port) },
            eventLoopGroupProvider: .shared(switchboard.mediaLoop.eventLoop), logger: quiet)
        return ServiceGroup(
            services: [
                LoopProbe(switchboard.mediaLoop), application, CallDrain(switchboard),
                Reloads(switchboard: switchboard),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
    }

    private func makeSwitchboard(_ folder: String, _ settings: ServerSettings) throws -> Switchboard {
        let registry = try ComponentRegistry.standard()
        let environment = environment
        let (set, findings) = PipelineSet.load(folder, registry: registry, environment: environment.variables)
        guard let set else { throw Mistake(description: findings.rendered()) }
        var options = environment.options
        options.dataDirectory = directory
        let tools = try SalonTools(salons: Salons(diary: diary)).all()
        return try Switchboard(
            set, source: .files([folder], registry: registry) { environment.variables },
            settings: settings, options: options, records: try SQLiteStore(directory: directory),
            logger: logger,
            // Calls of no tenant, such as the clinic's, have the tools of their file.
            tools: { info in info.tenant == nil ? [] : tools })
    }

    private func addRoutes(
        to router: some RouterMethods<ControlContext>, _ vendor: ServerSettings.ElevenLabs
    ) throws {
        guard let token = environment.first("backend.token").map(Secret.init) else {
            throw Mistake(description: "BACKEND_TOKEN is not set; the API has to know who may ask it")
        }
        ClinicRoutes(clinic: Clinic(diary: diary), token: token).add(to: router)
        SalonRoutes(salons: Salons(diary: diary), proof: VendorProof(token: token, vendor: vendor)).add(to: router)
    }

    /// Without the HTTP server's own notices.
    private var quiet: Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }
}

/// Reads the pipelines again at SIGHUP.
private struct Reloads: ServiceLifecycle.Service {
    let switchboard: Switchboard

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            await switchboard.reload(.signal)
        }
    }
}
