extension ServerSettings {
    /// What a path of the control plane leads to.
    public enum PathKey: String, Sendable, CaseIterable {
        /// The carrier's webhook for a new call.
        case voice
        /// The carrier's report of a call's progress.
        case status
        /// What the carrier asks when a webhook failed.
        case error
        /// The WebSocket of the media stream.
        case stream
        /// What the carrier asks when a stream has ended.
        case next
        /// The carrier's question what to do with somebody who answered; a session's name follows.
        case connect
        /// What the carrier heard: a person or a machine; a session's name follows.
        case machine
        /// Whether calls can be bridged to the agent's vendor.
        case carrierHealth
        /// A sentence, for a try from the carrier's console.
        case carrierTest
        /// The WebSocket of callers without a telephone.
        case browser
        /// ElevenLabs' webhook after a conversation.
        case postCall
        /// ElevenLabs' question before a conversation over its own telephony.
        case initiation
        /// The tools that ElevenLabs calls over HTTP; a tool's name follows.
        case tools
        /// What this server is.
        case info
        /// Whether the process is alive.
        case health
        /// Whether it takes calls.
        case ready
        /// Prometheus text.
        case metrics
        /// Running and past calls.
        case calls
        /// The running calls in the form of clinics' dashboards.
        case conversations
        /// What happens in all calls, as it happens.
        case events
        /// How much was used, by day and tenant.
        case usage
        /// What is kept of people.
        case records
        /// Orders of calls in the form of campaigns.
        case initiate
        /// What became of the calls that were ordered.
        case sessions
        /// The numbers that must not be dialled.
        case blocked
        /// Webhooks that were sent in vain; below it, sending one again.
        case webhooks
        /// The pipelines in force; below it, reloading them and going back.
        case pipelines
        /// The numbers that are answered.
        case numbers
        /// The businesses that share the server.
        case tenants
        /// Who did what to the server.
        case audit
        /// The description of this control plane.
        case openapi

        /// Where it is found when nothing else is set.
        public var defaultPath: String {
            switch self {
            case .voice, .status, .error, .stream, .next, .connect, .machine: "/twilio/\(rawValue)"
            case .carrierHealth: "/twilio/health"
            case .carrierTest: "/twilio/test"
            case .browser: "/ws"
            case .postCall: "/elevenlabs/post-call"
            case .initiation, .tools: "/elevenlabs/\(rawValue)"
            case .info: "/"
            case .initiate: "/calls/initiate"
            case .webhooks: "/webhooks/dead"
            case .openapi: "/openapi.json"
            case .health, .ready, .metrics, .calls, .conversations, .events, .usage, .records, .sessions, .blocked,
                .pipelines, .numbers, .tenants, .audit:
                "/\(rawValue)"
            }
        }

        /// Whether it only tells something, so that it may be opened to everybody.
        public var isReadOnly: Bool {
            switch self {
            case .voice, .status, .error, .stream, .next, .connect, .machine, .carrierTest, .browser, .postCall,
                .initiation, .tools, .records, .initiate, .webhooks, .audit:
                false
            case .carrierHealth, .info, .health, .ready, .metrics, .calls, .conversations, .events, .usage, .sessions,
                .blocked, .pipelines, .numbers, .tenants, .openapi:
                true
            }
        }
    }
}
