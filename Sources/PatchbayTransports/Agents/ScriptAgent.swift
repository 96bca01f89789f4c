import Foundation
public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `script`: a small declared conversation. Greets, answers each pause of the caller with the next reply, answers keys, says
/// goodbye and hangs up; stops talking when the caller speaks.
public struct ScriptAgent: AgentComponent {
    private let speech: SpeechLibrary

    public init(speech: SpeechLibrary = .shared) { self.speech = speech }

    public let spec = ComponentSpec(
        "script", .agent,
        summary:
            "A declared conversation: greeting, a reply to each pause of the caller, answers to keys, goodbye. Needs no account.",
        fields: [
            Field(
                "say", .string, isRequired: true, example: "\"Hello!\"",
                "The greeting: a text, or the path of a WAV file."),
            Field("replies", .strings, "What is said at the caller's first, second, … pause: texts or WAV files."),
            Field("keys", .variables, "What is said when a key is pressed: an object from key to text or WAV file."),
            Field(
                "goodbye", .string,
                "Said before hanging up: when the replies are used up, at the goodbye key, after silence."),
            Field("goodbyeKey", .choice(ScriptAgent.keyNames), default: "#", "The key that asks for the goodbye."),
            Field(
                "silenceSeconds", .integer(1...600), default: 10,
                "Silence on both sides that ends the call, in seconds."),
            Field("voice", .string, default: "en", "Voice of espeak-ng for texts, for instance en-us or de."),
        ])

    static let keyNames = "0123456789*#ABCD".map(String.init)

    /// Speaks every text that is known already, so that a machine without a voice is found at the desk and no call waits.
    public func problems(in settings: Settings) -> [SettingsProblem] {
        var problems: [SettingsProblem] = []
        for key in settings.variables("keys").keys where !Self.keyNames.contains(key) {
            problems.append(
                SettingsProblem(
                    field: "keys", .outOfRange,
                    "\"\(key)\" is no key of a telephone; allowed are \(Self.keyNames.joined(separator: " "))"))
        }
        var speeches = [("say", settings.speech("say")), ("goodbye", settings.speech("goodbye"))]
        speeches += settings.speeches("replies").map { ("replies", $0) }
        speeches += settings.speeches(byName: "keys").values.map { ("keys", $0) }
        for case (let field, let speech?) in speeches where !speech.text.contains("${") {
            do {
                _ = try spoken(speech, field, settings)
            } catch {
                var remedy: String?
                if case .file(let path) = speech, !path.hasPrefix("/"),
                    !FileManager.default.fileExists(atPath: "\(settings.directory)/\(path)")
                {
                    remedy = "relative paths start from the folder of the file that says so"
                }
                problems.append(SettingsProblem(field: field, .notSpeakable, error.message, remedy: remedy))
                break
            }
        }
        return problems
    }

    /// Up to 50 ms for every text that has not been spoken before; nothing after that.
    public var neverFails: Bool { true }

    /// It listens at the rate of the joint, and speaks at that of its sounds.
    public func formats(for joint: AudioFormat, settings: Settings) -> AgentFormats {
        AgentFormats(inputs: [.pcm(joint.sampleRate)], outputs: [SpokenText.format])
    }

    public func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend {
        var keys: [Character: SpokenText] = [:]
        for (key, speech) in settings.speeches(byName: "keys") {
            if let digit = key.first { keys[digit] = try spoken(speech, "keys", settings) }
        }
        var replies: [SpokenText] = []
        for reply in settings.speeches("replies") { replies.append(try spoken(reply, "replies", settings)) }
        var goodbye: SpokenText?
        if let speech = settings.speech("goodbye") { goodbye = try spoken(speech, "goodbye", settings) }
        return Backend(
            script: Script(
                greeting: try spoken(settings.speech("say") ?? .words(""), "say", settings), replies: replies,
                keys: keys,
                goodbye: goodbye, goodbyeKey: settings.string("goodbyeKey")?.first ?? "#",
                silence: .seconds(Int64(settings.integer("silenceSeconds") ?? 10))))
    }

    private func spoken(_ words: Speech, _ field: String, _ settings: Settings) throws(PipelineError) -> SpokenText {
        try speech.spoken(words, voice: settings.string("voice") ?? "en", directory: settings.directory(of: field))
    }

    private struct Backend: AgentBackend {
        let type = "script"
        let script: Script

        func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
            AgentSession(
                ScriptConversation(
                    script, inputRate: request.joint.sampleRate, hearsForItself: !request.call.marksSpeech),
                endpoint: .local)
        }
    }
}

/// What a script agent says, and when.
struct Script: Sendable {
    var greeting: SpokenText
    var replies: [SpokenText]
    var keys: [Character: SpokenText]
    var goodbye: SpokenText?
    var goodbyeKey: Character
    var silence: TimeSpan
}
