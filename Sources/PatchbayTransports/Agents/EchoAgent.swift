import NIOCore
import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `echo`: hears itself talk. Every frame of the caller's audio comes back at once and unchanged.
public struct EchoAgent: AgentComponent {
    public init() {}

    public let spec = ComponentSpec(
        "echo", .agent, summary: "Sends the caller's audio back at once and unchanged; needs no account.", fields: [])

    public var neverFails: Bool { true }

    public func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend { Backend() }

    private struct Backend: AgentBackend {
        let type = "echo"

        func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
            AgentSession(Conversation(format: request.joint), endpoint: .local)
        }
    }

    private struct Conversation: AgentConversation {
        let format: AudioFormat

        mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.ready(input: format, output: format))
        }

        mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
            if case .audio(let audio) = frame { output.emit(.audio(audio.payload)) }
        }
    }
}
