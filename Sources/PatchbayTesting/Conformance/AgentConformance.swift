public import PatchbayCore

/// The examination of an agent's backend: whole calls with a puppet carrier on one side and a peer that plays the vendor
/// on the other, on a virtual clock.
///
/// ```swift
/// let failures = AgentConformance.check(
///     peer: { ElevenLabsPeer() }, backend: { try ElevenLabsAgent(httpClient: client).makeBackend(settings) })
/// #expect(failures.isEmpty, "\(failures)")
/// ```
public enum AgentConformance {
    public struct Options: Sendable {
        /// Rules that the vendor's protocol cannot keep, whatever a backend does.
        public var exempt: Set<ConformanceFailure.Rule>
        /// The rules to examine; all of them when `nil`.
        public var only: Set<ConformanceFailure.Rule>?
        /// The longest time after which an agent that says nothing more, whatever the caller says, has to be given up.
        public var patience: TimeSpan
        /// What the agent is told of; the first one is called.
        public var tools: [ToolDefinition]
        /// Length of the long conversation, on the virtual clock.
        public var longConversation: TimeSpan
        /// What pieces of sound and broken messages are made from.
        public var seed: UInt64

        public init(
            exempt: Set<ConformanceFailure.Rule> = [], only: Set<ConformanceFailure.Rule>? = nil,
            patience: TimeSpan = .seconds(60),
            tools: [ToolDefinition] = [
                ToolDefinition(
                    "look_up_order", description: "Where an order is.",
                    parameters: #"{"type":"object","properties":{"order":{"type":"integer"}},"required":["order"]}"#)
            ],
            longConversation: TimeSpan = .seconds(3600), seed: UInt64 = 1
        ) {
            self.exempt = exempt
            self.only = only
            self.patience = patience
            self.tools = tools
            self.longConversation = longConversation
            self.seed = seed
        }
    }

    /// Puts a backend through every rule.
    ///
    /// - Parameters:
    ///   - peer: Makes a vendor for a new conversation; called some dozen times. What its protocol has no message for is
    ///     not examined.
    ///   - backend: Makes a backend that talks to such a vendor, over a socket.
    /// - Returns: What does not hold; empty when it conforms. A trap ends the test.
    public static func check<Peer: AgentPeer>(
        _ options: Options = Options(), peer: @escaping () -> Peer,
        backend: @escaping () throws(PipelineError) -> any AgentBackend
    ) -> [ConformanceFailure] {
        var check = BackendCheck(options, failures: Peer.failures, makePeer: peer, makeBackend: backend)
        check.all()
        return check.findings.all
    }
}

extension ConformanceFailure.Rule {
    /// The agent becomes ready, once, in the formats that the vendor announces or that were agreed.
    public static let agentReady = Self("becomes-ready")
    /// The caller's sound reaches the vendor whole and in order, also what was said before the agent was ready.
    public static let agentHears = Self("hears-the-caller")
    /// The vendor's sound is given whole and in order, however it is cut into messages.
    public static let agentSpeaks = Self("gives-the-agents-sound")
    /// What both sides said is given as text, unfinished words as such.
    public static let agentText = Self("gives-the-words")
    /// A vendor that begins late is waited for, as long as the call does.
    public static let slowStart = Self("waits-for-a-slow-start")
    /// An agent that says nothing more is given up in time, as a failure that another try may mend.
    public static let stall = Self("gives-up-an-agent-that-stalls")
    /// Broken, unknown and huge messages are counted or ignored, in few words, and the conversation goes on.
    public static let agentMalformed = Self("survives-the-malformed")
    /// A connection that breaks in the middle is a failure that another try may mend.
    public static let brokenConnection = Self("tells-a-broken-connection")
    /// Each failure that the vendor documents has its code, and says whether another try may help.
    public static let documentedFailures = Self("tells-documented-failures")
    /// When the vendor cuts its own turn, nothing more of it is heard, and all of the next one is.
    public static let agentInterruption = Self("stops-when-the-agent-does")
    /// When the call cuts a turn, nothing more of it is heard, and all of the next one is. A vendor that is told how
    /// much was heard is told the truth.
    public static let ownInterruption = Self("stops-when-told")
    /// Sound of a turn that was cut is not heard, even when it comes afterwards.
    public static let lateSound = Self("drops-late-sound")
    /// The vendor is told of the call's tools.
    public static let toolDeclaration = Self("declares-tools")
    /// Calls of tools reach the call as they are, and the answers the vendor.
    public static let tools = Self("calls-tools")
    /// The vendor is told when a tool failed.
    public static let toolErrors = Self("tells-failed-tools")
    /// The call is told which answers are not wanted any more.
    public static let toolCancellation = Self("cancels-tools")
    /// The vendor is told what an application adds.
    public static let context = Self("adds-context")
    /// The vendor is told what was said before it took over.
    public static let history = Self("hands-the-history-over")
    /// The vendor is told of the tools that were used before, ahead of anything that it is asked to say.
    public static let toolUses = Self("tells-of-tools-used")
    /// The vendor is asked to speak first when it takes over and the caller waits for words, and otherwise not.
    public static let awaitedAnswer = Self("asks-for-an-answer-that-is-awaited")
    /// A goodbye ends the call in order, after all of it has been heard.
    public static let goodbye = Self("says-goodbye")
    /// A vendor that wants a new socket gets one, and the conversation goes on.
    public static let reconnection = Self("goes-on-over-a-new-socket")
    /// An hour leaves nothing behind.
    public static let noGrowth = Self("does-not-grow")
    /// After the end nothing is sent and nothing is reported.
    public static let silentAfterEnd = Self("silent-after-the-end")
}
