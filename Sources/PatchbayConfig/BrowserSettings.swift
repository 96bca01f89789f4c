extension ServerSettings {
    /// Who may call without a telephone, over the socket of ``PathKey/browser``.
    public struct Browser: Sendable, Equatable {
        /// Whether strangers may: without a token, from anywhere.
        public var isOpen = false
        /// The pages that may, by their origins; empty for all.
        public var origins: [String] = []
        /// Calls at the same time.
        public var maximumCalls = 20

        public init() {}

        static let fields = [
            Field(
                "open", .boolean, default: false,
                "Whether anybody may call without a token. Every call costs what its agent costs."),
            Field(
                "origins", .strings,
                "Origins of the pages that may call, for instance https://www.example.com; all when absent."),
            Field(
                "maximumCalls", .integer(1...10_000), default: 20,
                "Callers without a telephone at the same time, from the handshake on."),
        ]

        init(_ settings: Settings) {
            isOpen = settings.bool("open") ?? isOpen
            origins = settings.strings("origins")
            maximumCalls = settings.integer("maximumCalls") ?? maximumCalls
        }
    }
}
