import Metrics
import PatchbayConfig
import PatchbayCore
import Synchronization

/// How much anybody may ask of this server: requests and connections of an address, calls of a caller and to a number.
final class TrafficLimits: Sendable {
    private let requests: RateLimiter
    private let toNumber: RateLimiter
    private let fromCaller: RateLimiter
    private let socketsPerAddress: Int
    /// Never holds more than there are connections.
    private let sockets = Mutex<[String: Int]>([:])

    /// - Parameter clock: Seconds that do not go back.
    init(_ limits: ServerSettings.Limits, clock: @escaping @Sendable () -> Double = TrafficLimits.now) {
        requests = RateLimiter("requestsPerAddress", perMinute: limits.requestsPerAddress, clock: clock)
        toNumber = RateLimiter("webhooksPerNumber", perMinute: limits.webhooksPerNumber, clock: clock)
        fromCaller = RateLimiter("webhooksPerCaller", perMinute: limits.webhooksPerCaller, clock: clock)
        socketsPerAddress = limits.socketsPerAddress
    }

    static let now: @Sendable () -> Double = { Double(MediaTime.now().nanoseconds) / 1e9 }

    /// Counts a request.
    ///
    /// - Returns: `nil` when it may pass, else the seconds until one may. What this machine asks is not counted.
    func admit(_ origin: RequestOrigin) -> Double? {
        origin.isLocal ? nil : requests.take(NetworkAddress.limitKey(of: origin.client))
    }

    /// Counts a call. Only for webhooks whose signature has been checked, so that nobody uses up what others have.
    ///
    /// - Returns: Whether it may pass. A caller that hides its number is not known again, and so not counted.
    func admitCall(from: String, to: String) -> Bool {
        guard toNumber.take(to) == nil else { return false }
        return PhoneNumber(from) == nil || fromCaller.take(from) == nil
    }

    /// Counts a connection that is opened; ``closeSocket(_:)`` is called when it is closed, if it may be.
    func openSocket(_ address: String) -> Bool {
        let address = NetworkAddress.limitKey(of: address)
        let mayOpen = sockets.withLock { sockets in
            guard sockets[address, default: 0] < socketsPerAddress else { return false }
            sockets[address, default: 0] += 1
            return true
        }
        if !mayOpen { RateLimiter.count("socketsPerAddress") }
        return mayOpen
    }

    func closeSocket(_ address: String) {
        let address = NetworkAddress.limitKey(of: address)
        sockets.withLock { sockets in
            let left = sockets[address, default: 1] - 1
            sockets[address] = left > 0 ? left : nil
        }
    }
}
