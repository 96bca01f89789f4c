import Metrics
public import PatchbayCore
public import ServiceLifecycle

/// Measures how late the calls' event loop does what it is given.
///
/// Ten times a second something that does nothing is handed to the loop; the time until it is done is what a packet
/// would have waited. An own server has one; a service with a server of its own adds it to its group.
public struct LoopProbe: Service {
    private static let interval = Duration.milliseconds(100)

    private let loop: MediaLoop
    private let lag = Recorder(label: ServerMetrics.loopLag, dimensions: [("loop", "media")])

    public init(_ loop: MediaLoop) { self.loop = loop }

    /// Measures until the group shuts down.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let asked = MediaTime.now()
                guard let lateness = try? await loop.eventLoop.submit({ MediaTime.now() - asked }).get() else { return }
                lag.record(lateness.seconds)
                try? await Task.sleep(for: Self.interval)
            }
        }
    }
}
