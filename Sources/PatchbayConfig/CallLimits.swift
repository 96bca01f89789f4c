import PatchbayCore

/// The limits that a document may set; all others keep their defaults.
extension CallLimits {
    static let fields = [
        Field("maximumCallSeconds", .integer(1...86_400), default: 3600, "Longest call, in seconds."),
        Field(
            "idleSeconds", .integer(1...3600), default: 15,
            "Silence of the carrier's socket that ends a call, in seconds."),
        Field("agentReadySeconds", .integer(1...60), default: 10, "Time an agent has to become ready, in seconds."),
        Field("leadMs", .integer(0...450), default: 200, "Audio sent ahead of real time, in milliseconds."),
    ]

    init(_ settings: Settings) {
        self.init()
        if let seconds = settings.integer("maximumCallSeconds") { maximumDuration = .seconds(Int64(seconds)) }
        if let seconds = settings.integer("idleSeconds") { idle = .seconds(Int64(seconds)) }
        if let seconds = settings.integer("agentReadySeconds") { agentReady = .seconds(Int64(seconds)) }
        if let milliseconds = settings.integer("leadMs") { lead = .milliseconds(Int64(milliseconds)) }
    }
}
