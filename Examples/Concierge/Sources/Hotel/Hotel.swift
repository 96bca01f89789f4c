import Hummingbird
public import Logging
public import Patchbay
public import ServiceLifecycle

/// What the hotel knows about its rooms.
public struct RoomBook: Sendable {
    public var rooms = [
        "12": "Room 12. Breakfast is from seven to ten, in the garden.",
        "204": "Room 204. Your taxi comes at nine.",
    ]

    public init() {}
}

/// A hotel whose web service also answers the telephone.
public enum Hotel {
    /// The standard components, and the hotel's own.
    public static func components(_ standard: ComponentRegistry) throws -> ComponentRegistry {
        try standard.adding(stages: [RoomKeys()], agents: [ConciergeAgent(book: RoomBook())])
    }

    /// The pipelines of a folder, and one that is written here.
    static func pipelines(_ folder: String, environment: [String: String]) throws -> PipelineSet {
        let (set, findings) = PipelineSet.load(folder, registry: try components(.standard()), environment: environment)
        guard let set else { throw Mistakes(description: findings.rendered()) }
        let night = try PipelineDocument("night", numbers: ["+15550100043"], transport: TwilioTransport()) {
            RoomKeys().with("digits", 3)
            ConciergeAgent(book: RoomBook()).with("greeting", "Good night. Which room?")
        }
        return try PipelineSet(documents: set.documents + [night])
    }

    /// Everything the hotel runs: its own routes and the telephone, on one port.
    public static func services(
        port: Int, folder: String, environment: ServerEnvironment, logger: Logger
    ) throws -> ServiceGroup {
        let switchboard = try Switchboard(
            try pipelines(folder, environment: environment.variables), options: environment.options, logger: logger)
        let book = RoomBook()
        let router = Router(context: ControlContext.self)
        router.get("rooms/:room") { _, context in
            guard let text = book.rooms[context.parameters.get("room") ?? ""] else { throw HTTPError(.notFound) }
            return text
        }
        switchboard.addRoutes(to: router)
        let application = Application(
            router: router, server: .patchbay(switchboard),
            configuration: .init(address: .hostname("127.0.0.1", port: port)),
            eventLoopGroupProvider: .shared(switchboard.mediaLoop.eventLoop), logger: logger)
        return ServiceGroup(
            services: [application, CallDrain(switchboard)], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
    }

    struct Mistakes: Error, CustomStringConvertible { let description: String }
}
