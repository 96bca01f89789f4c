public import Logging
import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
public import PatchbayTransports

/// The tools of a call.
extension CallParts {
    /// What runs the tools of one call.
    public func toolRunner(logger: Logger) -> CallTools {
        CallTools(common: commonTools, own: ownTools, logger: logger)
    }

    /// What the caller hears while an agent waits, by every name of the tool, in the format of the agent's joint.
    static func waitingSounds(
        of tools: [Tool], in format: AudioFormat
    ) throws(PipelineError) -> [String: WaitingSound] {
        var sounds: [String: WaitingSound] = [:]
        for tool in tools {
            guard let words = tool.waiting else { continue }
            let audio = try SpeechLibrary.shared
                .spoken(words.speech, voice: words.voice, directory: words.directory).audio(in: format)
            for name in tool.names { sounds[name] = WaitingSound(audio, after: words.after) }
        }
        return sounds
    }
}

/// A backend that tells its agents of tools that it alone has.
struct EquippedBackend: AgentBackend {
    private let base: any AgentBackend
    private let tools: [ToolDefinition]

    init(_ base: any AgentBackend, _ tools: [ToolDefinition]) {
        self.base = base
        self.tools = tools
    }

    var type: String { base.type }

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        var request = request
        request.tools += tools
        return try base.open(request)
    }
}
