import NIOCore
import PatchbayAudio
import PatchbayCore

/// What tests of conversations ask of the events that came.
extension [AgentEvent] {
    /// Bytes of sound.
    var soundBytes: Int {
        reduce(0) { if case .audio(let bytes) = $1 { $0 + bytes.readableBytes } else { $0 } }
    }
    var failure: PipelineError? {
        for case .failed(let error) in self { return error }
        return nil
    }
    var texts: [TextFrame] { compactMap { if case .text(let text) = $0 { text } else { nil } } }
    var toolCalls: [ToolCall] { compactMap { if case .toolCall(let call) = $0 { call } else { nil } } }
    var interruptions: Int { count { if case .interruption = $0 { true } else { false } } }
    var turnEnds: Int { count { if case .turnEnded = $0 { true } else { false } } }
    var reconnections: Int { count { if case .reconnect = $0 { true } else { false } } }
    var faults: Int { count { if case .fault = $0 { true } else { false } } }
    var formats: [(AudioFormat, AudioFormat)] {
        compactMap { if case .ready(let input, let output) = $0 { (input, output) } else { nil } }
    }
}
