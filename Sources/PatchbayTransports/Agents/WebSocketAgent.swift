import NIOCore
public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore
import PatchbayWire

/// `websocket`: an agent of your own, over Patchbay's open agent protocol. See the article "AgentProtocol".
public struct WebSocketAgent: AgentComponent {
    public init() {}

    public let spec = ComponentSpec(
        "websocket", .agent,
        summary: "An agent of your own behind a WebSocket, over Patchbay's open agent protocol.",
        fields: [
            Field(
                "url", .string, isRequired: true, example: "\"ws://127.0.0.1:8765\"",
                "Where the agent listens: ws:// or wss://."),
            Field(
                "token", .secret, example: #"{ "env": "AGENT_TOKEN" }"#,
                "Sent with the handshake as Authorization: Bearer …"),
            Field("headers", .headers, isAdvanced: true, "Further header fields of the handshake."),
            Field(
                "audio", .choice(AgentSocketAudioForm.allCases.map(\.rawValue)), default: "binary",
                "How sound travels: binary messages, or base64 in text messages. The agent may choose the other."),
            Field(
                "inputFormats", .strings, isAdvanced: true,
                "What the agent may take, the preferred first, for instance pcm16_16000; by default the chain's own format, then the usual ones."
            ),
            Field(
                "outputFormats", .strings, isAdvanced: true,
                "What the agent may give, by the same rule."),
            Field("variables", .variables, "Values for the agent; types are kept."),
            Field(
                "silenceSeconds", .integer(5...300), default: 20, isAdvanced: true,
                "Time without any message, not even the answer to a ping, after which the agent is given up, in seconds."
            ),
        ])

    /// Offered when a document names none: what telephones speak, and linear samples at every rate of the protocol.
    private static let usual =
        [AgentSocketFormat(.mulaw, sampleRate: 8000), AgentSocketFormat(.alaw, sampleRate: 8000)]
        + AgentSocketFormat.sampleRates.map { AgentSocketFormat(.pcm16, sampleRate: $0) }

    public func formats(for joint: AudioFormat, settings: Settings) -> AgentFormats {
        let offer = Self.offer(for: joint, settings)
        return AgentFormats(
            inputs: offer.inputs.map { AudioFormat($0) }, outputs: offer.outputs.map { AudioFormat($0) })
    }

    public func problems(in settings: Settings) -> [SettingsProblem] {
        var problems = ["inputFormats", "outputFormats"].flatMap { field in
            settings.strings(field).compactMap { name -> SettingsProblem? in
                do throws(WireError) {
                    _ = try AgentSocketFormat(name)
                    return nil
                } catch {
                    return SettingsProblem(field: field, .notAllowed, error.message)
                }
            }
        }
        if let url = settings.string("url"), !url.contains("${") { problems += Self.problems(url, settings) }
        if settings.secret("token") != nil, settings.headers("headers").contains(where: { $0.name.isAuthorization }) {
            problems.append(
                SettingsProblem(
                    field: "headers", .notAllowed, "both \"token\" and \"headers\" set Authorization; leave one out"))
        }
        return problems
    }

    private static func problems(_ url: String, _ settings: Settings) -> [SettingsProblem] {
        do throws(WebSocketConnectError) {
            let address = try WebSocketAddress(url)
            var problems: [SettingsProblem] = []
            let query = address.requestTarget.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
            for name in query.split(separator: "&").compactMap({ $0.split(separator: "=").first })
            where Diagnostic.isCredentialName(String(name)) {
                problems.append(
                    SettingsProblem(
                        field: "url", .notAllowed,
                        "\"\(name)\" in the query looks like a credential, and addresses are logged",
                        remedy: "use \"token\" or \"headers\""))
            }
            let isLocal = ["localhost", "127.0.0.1", "::1"].contains(address.host)
            if !address.isSecure, !isLocal, settings.secret("token") != nil {
                problems.append(
                    SettingsProblem(
                        field: "url", .notAllowed, severity: .warning,
                        "the token goes over the network in clear text with ws://", remedy: "use wss://"))
            }
            return problems
        } catch {
            return [SettingsProblem(field: "url", .notAllowed, error.message)]
        }
    }

    public func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend {
        guard let url = settings.string("url"), !url.isEmpty else {
            throw PipelineError(.agentMissing, "no url: set url in the pipeline", place: "agent websocket")
        }
        var headers = settings.headers("headers").map { ($0.name, $0.value) }
        if let token = settings.secret("token") {
            headers.append(("Authorization", Secret("Bearer " + token.reveal())))
        }
        return Backend(
            url: url, headers: headers, settings: settings,
            variables: settings.variables("variables").mapValues { value in
                switch value {
                case .string(let text): .string(text)
                case .number(let number): .number(number)
                case .bool(let bool): .bool(bool)
                }
            },
            patience: .seconds(Int64(settings.integer("silenceSeconds") ?? 20)))
    }

    /// The chain's own format first, where the protocol has it: then nothing needs to be converted.
    private static func offer(for joint: AudioFormat, _ settings: Settings) -> AgentSocketAudioOffer {
        func formats(_ field: String) -> [AgentSocketFormat] {
            let named = settings.strings(field).compactMap { try? AgentSocketFormat($0) }
            guard named.isEmpty else { return named }
            let own = AgentSocketFormat.all.filter { AudioFormat($0) == AudioFormat(joint.encoding, joint.sampleRate) }
            return own + usual.filter { !own.contains($0) }
        }
        return AgentSocketAudioOffer(
            form: settings.string("audio").flatMap(AgentSocketAudioForm.init) ?? .binary,
            inputs: formats("inputFormats"), outputs: formats("outputFormats"))
    }

    private struct Backend: AgentBackend {
        let type = "websocket"
        let url: String
        let headers: [(String, Secret)]
        let settings: Settings
        let variables: [String: AgentSocketVariable]
        let patience: TimeSpan

        func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
            let call = request.call
            let start = AgentSocketStart(
                call: .init(
                    id: call.id, carrierId: call.callSid, from: call.from, to: call.to,
                    direction: call.direction.rawValue, pipeline: call.pipeline),
                audio: WebSocketAgent.offer(for: request.joint, settings), variables: variables,
                tools: request.tools.map { .init($0.name, description: $0.description, parameters: $0.parameters) },
                history: request.history.map { .init($0.speaker == .agent ? .agent : .caller, $0.text) },
                isAnswerAwaited: request.isAnswerAwaited, context: request.toolUses.note)
            let (url, headers) = (url, headers)
            return AgentSession(
                WebSocketAgentConversation(start, patience: patience),
                endpoint: .webSocket {
                    var target = AgentTarget(
                        url: url, headers: headers.map { ($0.0, $0.1.reveal()) },
                        maximumMessageBytes: AgentSocketLimits.messageBytes)
                    target.place = WebSocketAgentConversation.place
                    target.remedy = WebSocketAgentConversation.remedy
                    return target
                })
        }
    }
}

extension AudioFormat {
    init(_ format: AgentSocketFormat) {
        let encoding: Encoding =
            switch format.encoding {
            case .mulaw: .mulaw
            case .alaw: .alaw
            case .pcm16: .pcm16
            }
        self.init(encoding, format.sampleRate)
    }

    /// One channel in packets of 20 ms, as the agent protocol has it.
    fileprivate init(_ encoding: Encoding, _ sampleRate: Int) { self.init(encoding, sampleRate: sampleRate) }
}

extension String {
    fileprivate var isAuthorization: Bool { lowercased() == "authorization" }
}
