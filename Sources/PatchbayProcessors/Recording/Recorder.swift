public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `recorder`: records a call in stereo, as it was heard.
///
/// The stage itself only passes frames on; the recording is made by a tap at the carrier's edge, so it does not matter
/// where in the chain the stage stands. Caller left, agent right, aligned to the sample; what an interruption threw away
/// is not in it.
public struct Recorder: TapComponent {
    /// Throws when an announcement cannot be turned into sound. Relative files start from the given folder.
    public typealias AnnouncementCheck =
        @Sendable (_ announcement: Announcement, _ directory: String) throws(PipelineError) -> Void

    private let writer: RecordingWriter
    private let check: AnnouncementCheck

    /// - Parameter check: Asked about every announcement while documents are checked. May take as long as a text takes to be
    ///   spoken.
    public init(
        writer: RecordingWriter = .shared,
        checkingAnnouncements check: @escaping AnnouncementCheck = { _, _ throws(PipelineError) in }
    ) {
        self.writer = writer
        self.check = check
    }

    private static let keys = "0123456789*#ABCD".map(String.init)

    public let spec = ComponentSpec(
        "recorder", .stage,
        summary: "Records the call in stereo as it was heard, caller left and agent right, aligned to the sample."
    ) {
        Field(
            "path", .string, isRequired: true, example: "\"recordings/${call.sid}.wav\"",
            "File to write, below \"directory\": .wav, .opus or .ogg. A name that is taken gets a number.")
        Field(
            "directory", .string, isAdvanced: true, isPath: true, example: "\"/var/lib/patchbay\"",
            "Folder that \"path\" starts from and never leaves. Without it the document's folder.")
        Field(
            "format", .choice(RecordingRequest.Format.allCases.map(\.rawValue)), isAdvanced: true,
            "Format of the file, where its name does not tell.")
        Field(
            "rateHz", .integer(8000...48_000), isAdvanced: true, example: "16000",
            "Sample rate of the file, in Hz. Without it the carrier's.")
        Field(
            "bitrate", .integer(OpusSink.bitrates), isAdvanced: true, example: "64000",
            "Bit rate of an Opus file, in bit/s for both channels. Without it \(OpusSink.defaultBitrate).")
        Field(
            "announcement", .string, example: "\"This call is recorded.\"",
            "What the caller hears before the agent speaks: a text or a WAV file.")
        Field("voice", .string, default: "en", "Voice of espeak-ng for the announcement, for instance en-us or de.")
        Field("pauseKey", .choice(keys), isAdvanced: true, "Key of the phone that pauses the recording.")
        Field(
            "resumeKey", .choice(keys), isAdvanced: true,
            "Key that goes on with it; the same as \"pauseKey\" takes turns.")
        Field(
            "maximumMinutes", .integer(1...1440), default: 240, isAdvanced: true,
            "Length after which the file ends although the call goes on, in minutes.")
    }

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat { input }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        RecorderStage(
            pauseKey: settings.string("pauseKey")?.first, resumeKey: settings.string("resumeKey")?.first)
    }

    public func announcement(_ settings: Settings) -> Announcement? {
        settings.speech("announcement").map { Announcement($0, voice: settings.string("voice") ?? "en") }
    }

    public func makeTap(_ settings: Settings) throws(PipelineError) -> MediaTapMaker {
        let relative = settings.string("path") ?? ""
        let path = RecordingPath(relative, in: folder(settings) ?? "")
        guard let format = format(settings) else {
            throw PipelineError(
                .unsafePath, "\"\(relative)\" ends in none of .wav, .opus and .ogg, and no \"format\" is set")
        }
        let rate = settings.integer("rateHz"), bitrate = settings.integer("bitrate")
        let maximum = TimeSpan.seconds(60 * Int64(settings.integer("maximumMinutes") ?? 240))
        writer.prepare()
        return { [writer] call, carrierFormat throws(PipelineError) in
            try RunDecoder.check(carrierFormat)
            let feed = RecordingFeed(
                RecordingRequest(
                    path: path, format: format,
                    sampleRate: rate ?? RecordingRequest.sampleRate(for: carrierFormat.sampleRate, format),
                    bitrate: bitrate, carrierFormat: carrierFormat, maximumDuration: maximum, callID: call.id,
                    callSid: call.callSid))
            writer.add(feed)
            return RecordingTap(feed)
        }
    }

    private func format(_ settings: Settings) -> RecordingRequest.Format? {
        settings.string("format").flatMap { RecordingRequest.Format(rawValue: $0) }
            ?? RecordingRequest.Format(path: settings.string("path") ?? "")
    }

    /// Relative folders start from the document's.
    public func folder(_ settings: Settings) -> String? {
        guard let directory = settings.string("directory") else { return settings.directory }
        let folder = settings.directory(of: "directory")
        return directory.hasPrefix("/") || folder.isEmpty ? directory : "\(folder)/\(directory)"
    }
}

extension Recorder {
    public func problems(in settings: Settings) -> [SettingsProblem] {
        var problems: [SettingsProblem] = []
        let path = settings.string("path") ?? ""
        if let objection = RecordingPath.objection(to: path) {
            problems.append(SettingsProblem(field: "path", .init("unsafe-path"), objection))
        }
        if settings.string("directory")?.contains("${") == true {
            problems.append(
                SettingsProblem(
                    field: "directory", .notAllowed, "\"directory\" is the same for every call",
                    remedy: "put what changes from call to call into \"path\""))
        }
        let named = settings.string("format").flatMap { RecordingRequest.Format(rawValue: $0) }
        let ending = RecordingRequest.Format(path: path)
        if let named, let ending, named != ending {
            problems.append(
                SettingsProblem(
                    field: "format", .notAllowed,
                    "\"format\" is \(named.rawValue) and \"path\" ends as \(ending.rawValue) does",
                    remedy: "leave \"format\" out, or let the path end in .\(named.extensions[0])"))
        } else if let format = named ?? ending {
            problems += problemsOf(format, settings)
        } else {
            problems.append(
                SettingsProblem(
                    field: "path", .notAllowed, "\"path\" ends in none of .wav, .opus and .ogg",
                    remedy: "let it end in one of them, or add \"format\""))
        }
        if settings.string("pauseKey") != nil, settings.string("resumeKey") == nil {
            problems.append(
                SettingsProblem(
                    field: "pauseKey", .missingField, severity: .warning,
                    "no key goes on with the recording once it is paused",
                    remedy: "add \"resumeKey\"; it may be the same key"))
        }
        if !path.contains("${"), !problems.contains(where: { $0.field == "path" }) {
            problems.append(
                SettingsProblem(
                    field: "path", .sharedPath, severity: .warning,
                    "every call writes beside the first, to \"\(RecordingPath.numbered(path, 2))\" and so on",
                    remedy: "put a value of the call into it, for instance ${call.sid}"))
        }
        if let announcement = announcement(settings), !"\(announcement.text)\(announcement.voice)".contains("${") {
            do throws(PipelineError) {
                try check(announcement, settings.directory(of: "announcement"))
            } catch {
                problems.append(
                    SettingsProblem(field: "announcement", Diagnostic.Code("not-speakable"), error.message))
            }
        }
        return problems
    }

    public func problems(in settings: Settings, at place: StagePlace) -> [SettingsProblem] {
        guard let field = ["pauseKey", "resumeKey"].first(where: { settings.string($0) != nil }) else { return [] }
        if !place.isBeforeAgent {
            return [
                SettingsProblem(
                    field: field, .misplacedStage, "behind the agent the caller's keys do not come by",
                    remedy: "put the recorder before the agent")
            ]
        }
        guard place.later.contains(where: { $0 is DTMF }) else { return [] }
        return [
            SettingsProblem(
                field: field, .misplacedStage, severity: .warning,
                "keys that \"dtmf\" hears in the audio do not come by before it",
                remedy: "put \"dtmf\" before the recorder")
        ]
    }

    private func problemsOf(_ format: RecordingRequest.Format, _ settings: Settings) -> [SettingsProblem] {
        let rate = settings.integer("rateHz")
        switch format {
        case .wav:
            var problems: [SettingsProblem] = []
            if settings.integer("bitrate") != nil {
                problems.append(
                    SettingsProblem(
                        field: "bitrate", .notAllowed, "a WAV file has no bit rate to choose",
                        remedy: "remove \"bitrate\", or let the path end in .opus"))
            }
            let seconds = 60 * (settings.integer("maximumMinutes") ?? 240)
            if seconds * (rate ?? 8000) * 4 > Int(UInt32.max) {
                problems.append(
                    SettingsProblem(
                        field: "maximumMinutes", .outOfRange,
                        "\(seconds / 60) minutes at \(rate ?? 8000) Hz are more than the 4 GiB of a WAV file",
                        remedy: "allow fewer minutes or a lower rate, or let the path end in .opus"))
            }
            return problems
        case .opus:
            guard let rate, !AudioFormat.opusSampleRates.contains(rate) else { return [] }
            let rates = AudioFormat.opusSampleRates.map(String.init).joined(separator: ", ")
            return [
                SettingsProblem(field: "rateHz", .notAllowed, "Opus knows no \(rate) Hz", remedy: "allowed: \(rates)")
            ]
        }
    }
}

extension Diagnostic.Code {
    /// All calls write to one place.
    public static let sharedPath = Self("shared-path")
}
