import ArgumentParser
import PatchbayCore
import PatchbaySimulators
import UnixSignals

/// What can go wrong on purpose with every vendor's simulator.
struct SimulatorFaultOptions: ParsableArguments {
    @Option(help: "HTTP status with which every handshake is refused: 401, 403, 429, 503.") var refuseWith: Int?
    @Option(help: "Seconds that the refusal asks to wait.") var retryAfter: Int?
    @Option(help: "Seconds before a conversation begins.") var slowStart: Double?
    @Flag(help: "Never begin a conversation.") var neverStart = false
    @Option(help: "Seconds into a conversation after which nothing is said any more.") var stallAfter: Double?
    @Option(help: "Close code to end with; 1006 cuts the connection.") var closeWith: Int?
    @Option(help: "Reason of the close.") var closeReason = ""
    @Option(help: "Seconds into a conversation at which it is closed.") var closeAfter = 5.0
    @Option(help: "Longest random delay of each message, in seconds; the order is kept.") var jitter: Double?
    @Option(help: "Seed of the delays. (default: any)") var jitterSeed: UInt64?

    func options(host: String, port: Int) -> SimulatorOptions {
        var options = SimulatorOptions(port: port)
        options.host = host
        (options.refuseWith, options.retryAfter) = (refuseWith, retryAfter)
        (options.slowStart, options.neverStarts, options.stallAfter) = (slowStart, neverStart, stallAfter)
        (options.closeWith, options.closeReason, options.closeAfter) = (closeWith, closeReason, closeAfter)
        (options.jitter, options.jitterSeed) = (jitter, jitterSeed)
        return options
    }
}

extension Simulate {
    /// Runs a simulator until it is told to stop.
    static func run(_ simulator: some Simulator, jitter: SimulatorFaults.Jitter?) async throws {
        let address = try await simulator.start()
        Terminal.result("listening on \(address.ipAddress ?? "?"):\(address.port ?? 0)")
        if let jitter {
            Terminal.note("every message is up to \(jitter.maximum.seconds) s late, --jitter-seed \(jitter.seed)")
        }
        for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { break }
        let statistics = await simulator.statistics()
        await simulator.stop()
        Terminal.note(
            "\(statistics.startedConversations) conversations, \(statistics.messagesReceived) messages received")
    }
}
