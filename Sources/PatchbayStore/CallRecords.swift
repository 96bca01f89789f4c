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
    /// `ringing`, `streaming`, `draining`, `ended`, `failed`, or `moved` when another process took the caller's stream: what
    /// the call came to stands in an entry of that process's.
    public var status: String
    public var createdAt: Date
    public var endedAt: Date?
    /// An `EndReason` as text, by which other processes know what the caller's next step is; or any other text.
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
///
/// Steps of a call that was erased are left out: what is forgotten does not come back.
public enum CallChange: Sendable, Equatable {
    /// The call as its recorder knows it now. Of an entry with the same id everything is replaced but ``StoredCall/recordings``,
    /// and ``StoredCall/conversationID`` where the recorder knows none: others add to those.
    indirect case call(StoredCall)
    /// An event keeps its number. Another that stands there, added by a delivery, moves behind the last one.
    case event(StoredEvent)
    /// A turn with the same call and sequence is replaced.
    case turn(StoredTurn)
    /// A tool call with the same call and sequence is replaced.
    case toolCall(StoredToolCall)
    /// A recording of the call is complete; one that the call has already is left as it is. That of a call that was erased
    /// is forgotten with it, see ``CallRecords/forgottenRecordings(after:limit:)``.
    case recording(call: String, path: String)

    /// Which call it belongs to.
    public var callID: String {
        switch self {
        case .call(let call): call.id
        case .event(let event): event.call
        case .turn(let turn): turn.call
        case .toolCall(let toolCall): toolCall.call
        case .recording(let call, _): call
        }
    }
}

/// What somebody beside a call's recorder adds to the call, put together with what is kept in one transaction.
public struct CallAddition: Sendable {
    /// Which call it belongs to.
    public var id: String
    /// Entered when there is no such call. Without it nothing is added then.
    public var new: StoredCall?
    /// Changes the call as it is kept, or as it has just been entered.
    public var change: @Sendable (inout StoredCall) -> Void = { _ in }
    /// Paths of recordings, added to those that the call has.
    public var recordings: [String] = []
    /// An event behind the call's last one.
    public var event: (name: String, detail: String)?
    /// Entered when the call has no turns of its own.
    public var turns: [StoredTurn] = []
    /// Entered when the call has no tool calls of its own.
    public var toolCalls: [StoredToolCall] = []

    public init(id: String, new: StoredCall? = nil) {
        self.id = id
        self.new = new
    }
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
    /// Writes all steps, and puts into the outbox in the same transaction what others are told of calls that begin or end by
    /// them: each call's end once, however often it is written.
    ///
    /// - Parameter messages: What they are told.
    /// - Returns: The endpoints of those messages.
    func write(
        _ changes: [CallChange], telling messages: @escaping @Sendable (CallNews) -> [OutboxMessage]
    ) async throws(StoreError) -> Set<String>
    /// By Patchbay's name of the call or the carrier's, the newest of several.
    func call(_ id: String) async throws(StoreError) -> StoredCall?
    /// The call with that name at the agent's vendor.
    func call(conversation id: String) async throws(StoreError) -> StoredCall?
    func calls(_ query: CallQuery) async throws(StoreError) -> [StoredCall]
    func events(ofCall id: String) async throws(StoreError) -> [StoredEvent]
    func turns(ofCall id: String) async throws(StoreError) -> [StoredTurn]
    func toolCalls(ofCall id: String) async throws(StoreError) -> [StoredToolCall]
    /// Usage by day and tenant, the newest day first. A tenant's alone where one is named. A call that moved is counted where
    /// it went.
    func usage(tenant: String?, days: Int) async throws(StoreError) -> [StoredUsage]
    /// Marks calls as failed that are kept as running, began before `date`, and belong to no process that still runs: those
    /// of one that died. Each lasted to the last of its events. Called when a process starts, with the time of that.
    ///
    /// - Parameter messages: What others are told of each, put into the outbox in the same transaction.
    /// - Returns: How many.
    func closeAbandoned(
        before date: Date, telling messages: @escaping @Sendable (CallNews) -> [OutboxMessage]
    ) async throws(StoreError) -> Int

    /// Recordings of calls that were erased or pruned, as long as nobody has said that their files are gone, in the order
    /// of their paths.
    ///
    /// - Parameter path: Only those behind it; `nil` for all.
    func forgottenRecordings(after path: String?, limit: Int) async throws(StoreError) -> [String]
    /// The files of forgotten recordings are gone.
    func removedRecordings(_ paths: [String]) async throws(StoreError)
}

extension CallRecords {
    /// The same without telling anybody.
    public func closeAbandoned(before date: Date) async throws(StoreError) -> Int {
        try await closeAbandoned(before: date) { _ in [] }
    }
}

/// What others may be told of a call.
public enum CallNews: Sendable, Equatable {
    /// It is on record for the first time, and not over.
    case began(StoredCall)
    /// It is over, with what was said in it.
    case ended(StoredCall, turns: [StoredTurn])
}
