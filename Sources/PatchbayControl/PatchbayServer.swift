public import AsyncHTTPClient
public import Foundation
public import Logging
public import NIOCore
import NIOPosix
public import NIOSSL
public import PatchbayConfig
public import PatchbayCore
public import PatchbayStore
import PatchbayTransports
public import ServiceLifecycle

/// A whole server: one media loop, a switchboard on it, and the port that leads there.
public struct PatchbayServer: Service {
    public let switchboard: Switchboard
    private let control: ControlServer
    private let group: MultiThreadedEventLoopGroup

    /// - Parameters:
    ///   - source: Where the pipelines are read again; without one, only ``PipelineStore/replace(with:)`` changes them.
    ///   - tls: For agents behind `wss:`; made once, shared by all calls.
    ///   - records: What is remembered beyond this process.
    ///   - clock: What time it is, for rules.
    ///   - observers: Makes additional watchers for each call.
    ///   - tools: What the agents of a call may call beside the tools of its pipeline.
    ///   - context: Finds out about callers, in place of the pipelines' own `context`.
    ///   - started: Told the address once connections are accepted.
    public init(
        pipelines: PipelineSet, source: PipelineSource? = nil, settings: ServerSettings, options: ServerOptions,
        tls: NIOSSLContext, httpClient: HTTPClient, records: any Store, logger: Logger,
        clock: @escaping @Sendable () -> Date = { Date() },
        observers: @escaping @Sendable (CallInfo) -> [any CallObserver] = { _ in [] },
        tools: @escaping @Sendable (CallInfo) -> [Tool] = { _ in [] }, context: ContextProvider? = nil,
        started: @escaping @Sendable (SocketAddress) -> Void = { _ in }
    ) {
        // One media loop a process: every call is on it, so no frame ever crosses a thread.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        self.group = group
        switchboard = Switchboard(
            pipelines: pipelines, source: source, settings: settings, options: options,
            mediaLoop: MediaLoop(group.next()), dialer: WebSocketAgentDialer(tls: tls),
            carrierREST: TwilioREST(httpClient, options), records: records,
            logger: logger, clock: clock, observers: observers, tools: tools, context: context)
        control = ControlServer(switchboard, group: group, started: started)
    }

    /// Serves until the surrounding service group shuts down gracefully, then drains.
    public func run() async throws {
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await control.run())
        } catch {
            outcome = .failure(error)
        }
        // What served the last connections still reports to the loop that they are closed; it must not find it gone.
        try? await group.next().scheduleTask(in: .milliseconds(100)) {}.futureResult.get()
        try? await group.shutdownGracefully()
        try outcome.get()
    }
}
