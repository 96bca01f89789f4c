public import PatchbayCore

extension ServerSettings {
    /// How calls are dialled: from which number, how many, when, and who speaks.
    public struct Outbound: Sendable, Equatable {
        /// How much is dialled.
        public struct Limits: Sendable, Equatable {
            /// Calls that may begin within a second; without one, as many as are ordered.
            public var perSecond: Int?
            /// Calls that may be dialled on one day.
            public var perDay: Int?
            /// Calls that may ring or run at the same time.
            public var inFlight: Int?

            public init(perSecond: Int? = nil, perDay: Int? = nil, inFlight: Int? = nil) {
                self.perSecond = perSecond
                self.perDay = perDay
                self.inFlight = inFlight
            }
        }

        /// What an order means by a kind of agent.
        public struct Agent: Sendable, Equatable {
            /// The pipeline that speaks; that of the calling number when absent.
            public var pipeline: String?
            /// What its document's variables are set to.
            public var variables: [String: VariableValue]

            public init(pipeline: String? = nil, variables: [String: VariableValue] = [:]) {
                self.pipeline = pipeline
                self.variables = variables
            }
        }

        /// What somebody who answers is connected with.
        public enum Bridge: String, Sendable, CaseIterable {
            /// The pipeline, over a media stream.
            case stream
            /// A telephone number of the agent's vendor, `ELEVENLABS_PHONE_NUMBER`.
            case dial
        }

        /// The number that calls come from; `TWILIO_PHONE_NUMBER` when absent.
        public var from: PhoneNumber?
        /// Of all calls together.
        public var limits = Limits(perSecond: 1, perDay: 1000, inFlight: 50)
        /// Of each tenant's.
        public var tenantLimits = Limits()
        /// When people may be called; always, when absent.
        public var hours: CallingHours?
        /// The kinds of agents that an order may name.
        public var agents: [String: Agent] = [:]
        /// Whether the carrier listens for an answering machine.
        public var detectsMachines = false
        /// What a machine is told before hanging up.
        public var machineMessage: String?
        public var bridge = Bridge.stream
        /// Seconds that a telephone rings.
        public var ringSeconds = 30

        public init() {}
    }
}

extension ServerSettings.Outbound {
    private static let perSecond = 1...1000
    private static let perDay = 1...10_000_000
    private static let inFlight = 1...100_000

    static let fields = [
        Field(
            "from", .string, example: #""+15550100001""#,
            "The number that calls come from (E.164); TWILIO_PHONE_NUMBER when absent."),
        Field(
            "maximumPerSecond", .integer(perSecond), default: 1,
            "Calls that may begin within a second. Twilio lets an account begin one, and queues the others."),
        Field("maximumPerDay", .integer(perDay), default: 1000, "Calls that may be dialled on one day."),
        Field("maximumInFlight", .integer(inFlight), default: 50, "Calls that may ring or run at the same time."),
        Field("perTenant", .object(tenantFields), "The same limits for each tenant; none when absent."),
        Field(
            "hours", .object(CallingHours.fields),
            "When people may be called. Its time zone also says when a day begins; without it that is UTC."),
        Field(
            "agents", .json, example: #"{ "reminder": { "pipeline": "reminder", "variables": { "tone": "calm" } } }"#,
            "The kinds of agents that an order may name, each with a pipeline and values for its variables."),
        Field("machine", .object(machineFields), "What happens when a machine answers."),
        Field(
            "bridge", .choice(Bridge.allCases.map(\.rawValue)), default: .string(Bridge.stream.rawValue),
            "What somebody who answers is connected with: the pipeline (stream), or ELEVENLABS_PHONE_NUMBER (dial)."),
        Field("timeoutSeconds", .integer(5...600), default: 30, "Time that a telephone rings, in seconds."),
    ]

    private static let tenantFields = [
        Field("maximumPerSecond", .integer(perSecond), "Calls of one tenant that may begin within a second."),
        Field("maximumPerDay", .integer(perDay), "Calls of one tenant that may be dialled on one day."),
        Field("maximumInFlight", .integer(inFlight), "Calls of one tenant that may ring or run at the same time."),
    ]

    private static let machineFields = [
        Field("detect", .boolean, default: false, "Whether the carrier listens for an answering machine."),
        Field("message", .string, "What a machine is told before hanging up; nothing when absent."),
    ]

    private static let agentFields = [
        Field(
            "pipeline", .string, example: #""reminder""#,
            "The pipeline that speaks; that of the calling number when absent."),
        Field("variables", .variables, "Values for the variables of its document."),
    ]

    /// Reads the section, reporting everything that is wrong.
    ///
    /// - Returns: `nil` when any of it is wrong.
    init?(_ node: JSONNode, _ linter: Linter) {
        let path = DocumentPath.root.key("outbound")
        // Both have keys or forms that a list of fields cannot say.
        let ownReaders = ["hours", "agents"]
        let errorsBefore = linter.errorCount
        guard let members = linter.members(node, path, "outbound"),
            let settings = linter.settings(
                members, of: node, fields: Self.fields.filter { !ownReaders.contains($0.name) }, owner: "\"outbound\"",
                path, ignoring: ownReaders)
        else { return nil }
        if let text = settings.string("from") {
            from = PhoneNumber(text)
            if from == nil, let written = members["from"] {
                linter.report(
                    .notAllowed, written.range, path.key("from"),
                    "\(quoted(text)) is no number; write it with its country code: \"+15550100001\"")
            }
        }
        limits = Limits(settings, limits)
        if let tenant = settings.object("perTenant") { tenantLimits = Limits(tenant, tenantLimits) }
        if let node = members["hours"] { hours = CallingHoursReader(linter).read(node, "hours", path) }
        if let node = members["agents"] { readAgents(node, path.key("agents"), linter) }
        if let machine = settings.object("machine") {
            detectsMachines = machine.bool("detect") ?? detectsMachines
            machineMessage = machine.string("message")
        }
        bridge = settings.string("bridge").flatMap(Bridge.init) ?? bridge
        ringSeconds = settings.integer("timeoutSeconds") ?? ringSeconds
        guard linter.errorCount == errorsBefore else { return nil }
    }

    private mutating func readAgents(_ node: JSONNode, _ path: DocumentPath, _ linter: Linter) {
        guard let members = linter.members(node, path, "agents", expected: "an object with kinds of agents as its keys")
        else { return }
        for member in linter.distinct(members) {
            let place = path.key(member.key)
            guard let inner = linter.members(member.value, place, member.key),
                let settings = linter.settings(
                    inner, of: member.value, fields: Self.agentFields, owner: quoted(member.key), place)
            else { continue }
            agents[member.key] = Agent(
                pipeline: settings.string("pipeline"), variables: settings.variables("variables"))
        }
    }
}

extension ServerSettings.Outbound.Limits {
    fileprivate init(_ settings: Settings, _ other: Self) {
        perSecond = settings.integer("maximumPerSecond") ?? other.perSecond
        perDay = settings.integer("maximumPerDay") ?? other.perDay
        inFlight = settings.integer("maximumInFlight") ?? other.inFlight
    }
}
