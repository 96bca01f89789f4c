/// One of several businesses that share a server: its numbers, and what its calls are given.
public struct Tenant: Sendable, Hashable {
    /// A number of its own.
    public struct Number: Sendable, Hashable {
        /// E.164.
        public var number: String
        /// The carrier's name of it; `PN…` at Twilio.
        public var sid: String?

        public init(_ number: String, sid: String? = nil) {
            self.number = number
            self.sid = sid
        }
    }

    /// 1 to 64 letters, digits, `-`, `_` and `.`.
    public var id: String
    public var name: String
    /// The pipeline that answers; `nil` for the one that has the called number.
    public var pipeline: String?
    public var numbers: [Number]
    public var agentID: String?
    public var greeting: String?
    public var tone: String?
    public var language: String?
    /// By its name in the IANA time zone database.
    public var timeZone: String?
    public var businessHours: BusinessHours?
    /// Calls at the same time; `nil` for the server's own limit.
    public var maximumCalls: Int?
    /// Its own values for `${name}`, before those that follow from its other settings.
    public var variables: [String: VariableValue]

    public init(
        id: String, name: String, pipeline: String? = nil, numbers: [Number] = [],
        variables: [String: VariableValue] = [:]
    ) {
        self.id = id
        self.name = name
        self.pipeline = pipeline
        self.numbers = numbers
        self.variables = variables
    }

    /// What `${name}` means in its calls: `tenantId`, `tenantName`, and, where they are set, `businessName`, `agentId`,
    /// `greeting`, `tone`, `language`, `timeZone`, `businessHoursSummary`; and its own.
    public var callVariables: [String: VariableValue] {
        let known: [(String, String?)] = [
            ("businessName", name), ("agentId", agentID), ("greeting", greeting), ("tone", tone),
            ("language", language), ("timeZone", timeZone), ("businessHoursSummary", businessHours?.summary),
        ]
        var values = variables
        for (name, text) in known where values[name] == nil { values[name] = text.map { .string($0) } }
        values["tenantId"] = .string(id)
        values["tenantName"] = .string(name)
        return values
    }

    /// What follows from one of its numbers being called.
    public var assignment: NumberAssignment {
        NumberAssignment(tenant: id, pipeline: pipeline, variables: callVariables, maximumCalls: maximumCalls)
    }

    /// Whether a text may name a tenant.
    public static func isID(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0.isNameByte || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
            && text.utf8.contains { $0.isNameByte }
    }
}

/// Whose number it is, and what that means for a call.
public struct NumberAssignment: Sendable, Hashable {
    public var tenant: String?
    /// The pipeline that answers, whatever the documents say of the number.
    public var pipeline: String?
    /// These go before the variables that documents set.
    public var variables: [String: VariableValue]
    /// Calls of the tenant at the same time.
    public var maximumCalls: Int?

    public init(
        tenant: String? = nil, pipeline: String? = nil, variables: [String: VariableValue] = [:],
        maximumCalls: Int? = nil
    ) {
        self.tenant = tenant
        self.pipeline = pipeline
        self.variables = variables
        self.maximumCalls = maximumCalls
    }
}

/// What is said of one number by itself: whose it is, who answers, what is different there.
public struct NumberEntry: Sendable, Hashable {
    public var number: String
    public var tenant: String?
    public var pipeline: String?
    public var sid: String?
    public var variables: [String: VariableValue]
}
