extension ServerSettings {
    /// What becomes of records.
    public struct Store: Sendable, Equatable {
        /// Days that records of calls are kept after their end; `nil` keeps them until somebody removes them.
        public var retentionDays: Int? = 90

        public init() {}

        static let fields = [
            Field(
                "retentionDays", .integer(0...36_500), default: 90,
                "Days that records are kept; 0 keeps them until somebody removes them.")
        ]

        init(_ settings: Settings) {
            guard let days = settings.integer("retentionDays") else { return }
            retentionDays = days == 0 ? nil : days
        }
    }
}
