public import Foundation

/// One call, as it is kept.
public struct StoredCall: Sendable, Equatable, Codable {
    /// Patchbay's own name of the call.
    public var id: String
    /// The carrier's name of it.
    public var callSid: String
    public var streamSid: String?
    /// `inbound` or `outbound`.
    public var direction: String
    public var from: String
    public var to: String
    /// Whose call it is; `nil` where there are no tenants.
    public var tenant: String?
    public var pipeline: String
    public var version: String
    /// The type of the agent that answered last.
    public var backend: String?
    /// `ringing`, `streaming`, `draining`, `ended` or `failed`.
    public var status: String
    public var createdAt: Date
    public var endedAt: Date?
    public var endReason: String?
    /// The agent vendor's name of the conversation.
    public var conversationID: String?
    /// The voice session that had it dialled.
    public var session: String?
    public var timeToFirstAudioMs: Double?
    public var responseLatencyMs: Double?
    public var interruptions = 0
    public var agentTakeovers = 0
    /// Where recordings of it lie.
    public var recordings: [String] = []

    public init(
        id: String, callSid: String, direction: String, from: String, to: String, tenant: String? = nil,
        pipeline: String,
        version: String, status: String = "ringing", createdAt: Date, session: String? = nil
    ) {
        self.id = id
        self.callSid = callSid
        self.direction = direction
        self.from = from
        self.to = to
        self.tenant = tenant
        self.pipeline = pipeline
        self.version = version
        self.status = status
        self.createdAt = createdAt
        self.session = session
    }
}

/// Something that happened in a call.
public struct StoredEvent: Sendable, Equatable, Codable {
    public var call: String
    /// Counts from 0 in each call, without a gap unless events were lost.
    public var sequence: Int
    /// Milliseconds since the call's first event.
    public var atMs: Int64
    public var event: String
    public var detail: String

    public init(call: String, sequence: Int, atMs: Int64, event: String, detail: String) {
        self.call = call
        self.sequence = sequence
        self.atMs = atMs
        self.event = event
        self.detail = detail
    }
}

/// What one side said in one turn.
public struct StoredTurn: Sendable, Equatable, Codable {
    public var call: String
    public var sequence: Int
    public var atMs: Int64
    /// `caller` or `agent`.
    public var speaker: String
    /// What was said.
    public var text: String
    /// Of the agent's words those that the caller really heard; the same as ``text`` for the caller's.
    public var heard: String
    /// Whether an interruption cut it short.
    public var isInterrupted: Bool

    public init(
        call: String, sequence: Int, atMs: Int64, speaker: String, text: String, heard: String, isInterrupted: Bool
    ) {
        self.call = call
        self.sequence = sequence
        self.atMs = atMs
        self.speaker = speaker
        self.text = text
        self.heard = heard
        self.isInterrupted = isInterrupted
    }
}

/// A tool that an agent called.
public struct StoredToolCall: Sendable, Equatable, Codable {
    public var call: String
    public var sequence: Int
    public var atMs: Int64
    public var name: String
    /// The arguments, as JSON.
    public var arguments: String
    /// `nil` while it is awaited.
    public var output: String?
    public var isError: Bool
    /// How long it took; `nil` while it is awaited.
    public var milliseconds: Int64?

    public init(
        call: String, sequence: Int, atMs: Int64, name: String, arguments: String, output: String? = nil,
        isError: Bool = false, milliseconds: Int64? = nil
    ) {
        self.call = call
        self.sequence = sequence
        self.atMs = atMs
        self.name = name
        self.arguments = arguments
        self.output = output
        self.isError = isError
        self.milliseconds = milliseconds
    }
}

/// A step in the record of calls; several are written in one transaction.
public enum CallChange: Sendable, Equatable {
    /// The call as it is now; an entry with the same id is replaced.
    case call(StoredCall)
    case event(StoredEvent)
    /// A turn with the same call and sequence is replaced.
    case turn(StoredTurn)
    /// A tool call with the same call and sequence is replaced.
    case toolCall(StoredToolCall)
}

/// What is asked of the record of calls.
public struct CallQuery: Sendable, Equatable {
    /// Only this tenant's.
    public var tenant: String?
    /// Only calls from or to this number.
    public var number: String?
    public var session: String?
    public var createdAfter: Date?
    public var createdBefore: Date?
    /// Only calls that are over, or only those that are not.
    public var isEnded: Bool?
    /// At most so many, the newest first.
    public var limit: Int
    /// So many of the newest are left out.
    public var offset: Int

    public init(tenant: String? = nil, number: String? = nil, session: String? = nil, limit: Int = 100, offset: Int = 0)
    {
        self.tenant = tenant
        self.number = number
        self.session = session
        self.limit = limit
        self.offset = offset
    }
}

/// A tenant's use in one day (UTC).
public struct StoredUsage: Sendable, Equatable, Codable {
    /// `YYYY-MM-DD`.
    public var day: String
    public var tenant: String?
    public var calls: Int
    public var seconds: Double
    public var toolCalls: Int

    public init(day: String, tenant: String?, calls: Int, seconds: Double, toolCalls: Int) {
        self.day = day
        self.tenant = tenant
        self.calls = calls
        self.seconds = seconds
        self.toolCalls = toolCalls
    }
}

/// Calls, with what happened and what was said in them.
public protocol CallRecords: Sendable {
    /// Writes all steps in one transaction, in their order.
    func write(_ changes: [CallChange]) async throws(StoreError)
    /// By Patchbay's name of the call or the carrier's, the newest of several.
    func call(_ id: String) async throws(StoreError) -> StoredCall?
    /// The call with that name at the agent's vendor.
    func call(conversation id: String) async throws(StoreError) -> StoredCall?
    func calls(_ query: CallQuery) async throws(StoreError) -> [StoredCall]
    func events(ofCall id: String) async throws(StoreError) -> [StoredEvent]
    func turns(ofCall id: String) async throws(StoreError) -> [StoredTurn]
    func toolCalls(ofCall id: String) async throws(StoreError) -> [StoredToolCall]
    /// Usage by day and tenant, the newest day first. A tenant's alone where one is named.
    func usage(tenant: String?, days: Int) async throws(StoreError) -> [StoredUsage]
    /// Marks calls as failed that are kept as running, began before `date`, and belong to no process that still runs: those
    /// of one that died. Called when a process starts, with the time of that.
    ///
    /// - Returns: How many.
    func closeAbandoned(before date: Date) async throws(StoreError) -> Int
}
