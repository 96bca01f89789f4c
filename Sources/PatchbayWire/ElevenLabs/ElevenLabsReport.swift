/// What a `post_call_transcription` tells of a conversation.
public struct ElevenLabsReport: Sendable, Equatable {
    /// Turns that are taken of one conversation.
    public static let maximumTurns = 2000
    /// Longest text that is taken of a turn, a tool's answer or the analysis, in characters.
    public static let maximumText = 8000
    /// Values that the analysis may have collected.
    public static let maximumValues = 200

    /// What one side said.
    public struct Turn: Sendable, Equatable {
        /// `agent` or `user`.
        public var role: String
        public var message: String
        /// Since the call began.
        public var seconds: Double
        public var isInterrupted: Bool
    }

    /// A tool that the agent used.
    public struct ToolUse: Sendable, Equatable {
        public var name: String
        /// JSON text.
        public var arguments: String
        public var output: String?
        public var isError: Bool
        public var seconds: Double
        public var latencySeconds: Double?
    }

    /// Something that the analysis found out.
    public struct Value: Sendable, Equatable {
        public var name: String
        /// JSON text.
        public var json: String
    }

    /// The telephone call, when the vendor's own telephony carried it.
    public struct PhoneCall: Sendable, Equatable {
        /// `inbound` or `outbound`.
        public var direction: String
        public var agentNumber: String
        public var externalNumber: String
        public var callSid: String?
    }

    /// `done` or `failed`.
    public var status: String
    public var turns: [Turn] = []
    public var tools: [ToolUse] = []
    /// Seconds since 1970.
    public var startedAt: Int?
    public var durationSeconds: Int?
    public var terminationReason: String?
    public var phoneCall: PhoneCall?
    public var summary: String?
    /// `success`, `failure` or `unknown`.
    public var outcome: String?
    /// What the analysis collected, in the order of the message.
    public var collected: [Value] = []

    init(_ data: JSONObject) {
        func cut(_ text: String) -> String { String(text.prefix(Self.maximumText)) }
        status = String((data.string("status") ?? "unknown").prefix(64))
        for element in (data["transcript"]?.elements ?? []).prefix(Self.maximumTurns) {
            guard let entry = element.object else { continue }
            let seconds = entry.number("time_in_call_secs") ?? 0
            if let message = entry.string("message"), !message.isEmpty {
                turns.append(
                    Turn(
                        role: entry.string("role") == "user" ? "user" : "agent", message: cut(message),
                        seconds: seconds,
                        isInterrupted: entry.bool("interrupted") ?? false))
            }
            let results = (entry["tool_results"]?.elements ?? []).compactMap(\.object)
            for call in (entry["tool_calls"]?.elements ?? []).prefix(100).compactMap(\.object) {
                guard tools.count < Self.maximumTurns, let name = call.string("tool_name") else { continue }
                let id = call.string("request_id")
                let result = results.first { id != nil && $0.string("request_id") == id }
                tools.append(
                    ToolUse(
                        name: cut(name), arguments: cut(call.string("params_as_json") ?? "{}"),
                        output: result?.string("result_value").map(cut),
                        isError: result?.bool("is_error") ?? false, seconds: seconds,
                        latencySeconds: result?.number("tool_latency_secs")))
            }
        }
        let metadata = data.object("metadata")
        startedAt = metadata?.integer("start_time_unix_secs")
        durationSeconds = metadata?.integer("call_duration_secs")
        terminationReason = metadata?.string("termination_reason").map(cut)
        if let call = metadata?.object("phone_call") {
            phoneCall = PhoneCall(
                direction: call.string("direction") == "outbound" ? "outbound" : "inbound",
                agentNumber: cut(call.string("agent_number") ?? ""),
                externalNumber: cut(call.string("external_number") ?? ""), callSid: call.string("call_sid").map(cut))
        }
        let analysis = data.object("analysis")
        summary = analysis?.string("transcript_summary").map(cut)
        outcome = analysis?.string("call_successful").map(cut)
        for member in (analysis?.object("data_collection_results")?.members ?? []).prefix(Self.maximumValues) {
            // Each is an object around its value; plain values are taken as they are.
            let value = member.value.object.map { $0["value"] } ?? member.value
            guard let value, !value.isNull, value.range.count <= Self.maximumText else { continue }
            collected.append(Value(name: member.name, json: value.text))
        }
    }

    /// What the caller wanted, where the analysis collects it under one of the usual names.
    public var intent: String? {
        for name in ["intent", "extracted_intent", "call_intent", "caller_intent", "customer_intent"] {
            guard let value = collected.first(where: { $0.name.lowercased() == name })?.json else { continue }
            var text = value
            let plain = text.withUTF8 { bytes in
                try? JSONScanner(UnsafeRawBufferPointer(bytes)).string()
            }
            return plain ?? value
        }
        return nil
    }
}

extension JSONScanner {
    /// The string that the text is; throws when it is something else.
    fileprivate consuming func string() throws(WireError) -> String {
        var scanner = self
        guard try scanner.peek() == UInt8(ascii: "\"") else { throw WireError(.wrongType, "no string") }
        return scanner.value(of: try scanner.scanString())
    }
}
