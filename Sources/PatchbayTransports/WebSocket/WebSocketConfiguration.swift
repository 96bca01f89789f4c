public import NIOCore

/// The limits of one WebSocket connection.
public struct WebSocketConfiguration: Sendable {
    /// The longest message that is accepted, over all its fragments, in bytes. A longer one closes with 1009.
    public var maximumMessageBytes: Int
    /// How many bytes may wait for a peer that does not read. A send that finds more than this waiting ends the
    /// connection with code 1013: on a media stream the bytes would be minutes old. One batch may always wait, however
    /// large.
    public var maximumPendingBytes: Int
    /// How long to wait for the peer's part of the closing handshake.
    public var closeTimeout: TimeAmount
    /// How often to ping; nil for never.
    public var pingInterval: TimeAmount?
    /// How long after a ping the peer may stay silent. Any byte from it counts as life.
    public var pongTimeout: TimeAmount

    public init(
        maximumMessageBytes: Int,
        maximumPendingBytes: Int,
        closeTimeout: TimeAmount = .seconds(5),
        pingInterval: TimeAmount? = nil,
        pongTimeout: TimeAmount = .seconds(10)
    ) {
        self.maximumMessageBytes = maximumMessageBytes
        self.maximumPendingBytes = maximumPendingBytes
        self.closeTimeout = closeTimeout
        self.pingInterval = pingInterval
        self.pongTimeout = pongTimeout
    }

    /// For peers that connect to us: messages up to 1 MiB, 1 MiB waiting, no pings.
    public static let server = Self(maximumMessageBytes: 1 << 20, maximumPendingBytes: 1 << 20)
    /// For peers that we connect to: messages up to 16 MiB, 4 MiB waiting, no pings.
    public static let client = Self(maximumMessageBytes: 16 << 20, maximumPendingBytes: 4 << 20)
}

/// What went over one connection so far.
public struct WebSocketStatistics: Hashable, Sendable {
    public var messagesReceived = 0
    /// Payload bytes of those messages.
    public var bytesReceived = 0
    public var messagesSent = 0
    /// Frame bytes of those messages, headers included.
    public var bytesSent = 0
    /// Batches that were refused because too much waited already. The first one ends the connection.
    public var refusedBatches = 0

    public init() {}
}
