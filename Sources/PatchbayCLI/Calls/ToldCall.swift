import Foundation

/// A call as the server tells of it; what is not needed here is left out.
struct ToldCall: Decodable {
    struct Event: Decodable {
        var atMs: Int64
        var event, detail: String
    }

    var id, callSid, direction, from, to, pipeline, version, backend, state: String
    var startedAt: Date
    var endedAt: Date?
    var endReason, conversationId: String?
    var timeToFirstAudioMs, responseLatencyMs: Double?
    var interruptions, agentTakeovers: Int
    var recordings: [String]?
    var events: [Event]?
}

/// What was said in a call, as the server tells it.
struct ToldTranscript: Decodable {
    struct Turn: Decodable {
        var speaker, text, heard: String
        var interrupted: Bool
        var atMs: Int64
    }

    struct ToolCall: Decodable {
        var name, arguments: String
        var output: String?
        var error: Bool
        var atMs: Int64
        var milliseconds: Int64?
    }

    var turns: [Turn]
    var toolCalls: [ToolCall]
}
