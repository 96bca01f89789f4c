/// The carrier's own voice, which speaks where no agent does: what `<Say>` takes (twilio.com/docs/voice/twiml/say).
public struct CarrierVoice: Sendable, Hashable {
    /// A language tag (BCP 47), for instance `de-DE`; the carrier's own choice when absent.
    public var language: String?
    /// `man`, `woman`, or a voice of Amazon Polly or Google: `Polly.Vicki`; the carrier's own choice when absent.
    public var voice: String?

    public init(language: String? = nil, voice: String? = nil) {
        self.language = language
        self.voice = voice
    }

    /// Reads `language` and `voice`.
    public init(_ settings: Settings) {
        self.init(language: settings.string("language"), voice: settings.string("voice"))
    }

    /// A language of two or three letters and up to four subtags of at most eight (RFC 5646, section 2.1).
    static let languagePattern = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$"
    /// `alice` is an old voice that the carrier still takes.
    static let voicePattern = #"^(man|woman|alice|(Polly|Google)\.[A-Za-z0-9-]{1,64})$"#

    private static let plainVoices = ["man", "woman", "alice"]
    private static let vendors = ["Polly", "Google"]

    static func isLanguage(_ text: String) -> Bool {
        let tags = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard let first = tags.first, (2...3).contains(first.count), first.allSatisfy(\.isLetter), tags.count <= 5
        else {
            return false
        }
        return tags.dropFirst().allSatisfy { (1...8).contains($0.count) && $0.allSatisfy { $0.isLetter || $0.isDigit } }
    }

    static func isVoice(_ text: String) -> Bool {
        if plainVoices.contains(text) { return true }
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, vendors.contains(String(parts[0])), (1...64).contains(parts[1].utf8.count) else {
            return false
        }
        return parts[1].utf8.allSatisfy { $0.isLetter || $0.isDigit || $0 == UInt8(ascii: "-") }
    }

    /// What the carrier would not understand. A value that is only known with the call is not looked at.
    public var problems: [SettingsProblem] {
        var problems: [SettingsProblem] = []
        if let language, !language.contains("${"), !Self.isLanguage(language) {
            problems.append(
                SettingsProblem(
                    field: "language", .notAllowed, "\(quoted(language)) is no language tag (BCP 47)",
                    remedy: "write one such as \"de-DE\" or \"en-US\""))
        }
        if let voice, !voice.contains("${"), !Self.isVoice(voice) {
            problems.append(
                SettingsProblem(
                    field: "voice", .notAllowed, "\(quoted(voice)) is no voice of the carrier's",
                    remedy: "write \"man\", \"woman\", \"Polly.NAME\" or \"Google.NAME\", for instance \"Polly.Vicki\" "
                        + "(twilio.com/docs/voice/twiml/say/text-speech)"))
        }
        return problems
    }
}
