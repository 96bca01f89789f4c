extension ServerSettings {
    /// How much the server takes on, and how much anybody may ask of it.
    public struct Limits: Sendable, Equatable {
        /// Calls at the same time.
        public var maximumCalls = 500
        /// Calls of one tenant at the same time, where the tenant has no limit of its own.
        public var maximumCallsPerTenant = 500
        /// Seconds for which a stream token is valid.
        public var streamTokenSeconds = 120
        /// Seconds a stopping server waits for its calls.
        public var drainSeconds = 600
        /// Longest body of a request, in bytes.
        public var maximumBodyBytes = 65_536
        /// Longest head of a request, in bytes.
        public var maximumHeaderBytes = 16_384
        /// Header fields of a request.
        public var maximumHeaders = 100
        /// Seconds in which a request must have arrived; a long one has more, at ``minimumBytesPerSecond``.
        public var requestSeconds = 30
        /// Calls to one number in a minute.
        public var webhooksPerNumber = 600
        /// Calls of one caller in a minute.
        public var webhooksPerCaller = 300
        /// Requests of one address in a minute; those of this machine are not counted.
        public var requestsPerAddress = 6000
        /// Connections of one address at the same time; those of this machine and of trusted proxies are not counted.
        public var socketsPerAddress = 1000

        /// What a request that takes longer than ``requestSeconds`` must bring in every second.
        public static let minimumBytesPerSecond = 16_384

        public init() {}

        static let fields = [
            Field("maximumCalls", .integer(1...100_000), default: 500, "Calls at the same time."),
            Field(
                "maximumCallsPerTenant", .integer(1...100_000),
                "Calls of one tenant at the same time, where the tenant says nothing else; without it, maximumCalls."),
            Field("streamTokenSeconds", .integer(10...3600), default: 120, "Validity of a stream token, in seconds."),
            Field(
                "drainSeconds", .integer(0...86_400), default: 600,
                "Time a stopping server gives its calls, in seconds."),
            Field("maximumBodyBytes", .integer(1024...1_048_576), default: 65_536, "Longest body, in bytes."),
            Field("maximumHeaderBytes", .integer(1024...65_536), default: 16_384, "Longest head, in bytes."),
            Field("maximumHeaders", .integer(10...1000), default: 100, "Header fields of a request."),
            Field(
                "requestSeconds", .integer(1...600), default: 30,
                "Time in which a request must have arrived, in seconds; a longer one must bring 16 KiB a second."),
            Field("webhooksPerNumber", .integer(1...1_000_000), default: 600, "Calls to one number in a minute."),
            Field("webhooksPerCaller", .integer(1...1_000_000), default: 300, "Calls of one caller in a minute."),
            Field(
                "requestsPerAddress", .integer(1...1_000_000), default: 6000,
                "Requests of one address in a minute; those of this machine are not counted."),
            Field(
                "socketsPerAddress", .integer(1...100_000), default: 1000,
                "Connections of one address at the same time; those of this machine and of trusted proxies are not counted."
            ),
        ]

        init(_ settings: Settings) {
            func read(_ name: String, _ value: inout Int) { value = settings.integer(name) ?? value }
            read("maximumCalls", &maximumCalls)
            maximumCallsPerTenant = maximumCalls
            read("maximumCallsPerTenant", &maximumCallsPerTenant)
            read("streamTokenSeconds", &streamTokenSeconds)
            read("drainSeconds", &drainSeconds)
            read("maximumBodyBytes", &maximumBodyBytes)
            read("maximumHeaderBytes", &maximumHeaderBytes)
            read("maximumHeaders", &maximumHeaders)
            read("requestSeconds", &requestSeconds)
            read("webhooksPerNumber", &webhooksPerNumber)
            read("webhooksPerCaller", &webhooksPerCaller)
            read("requestsPerAddress", &requestsPerAddress)
            read("socketsPerAddress", &socketsPerAddress)
        }
    }
}
