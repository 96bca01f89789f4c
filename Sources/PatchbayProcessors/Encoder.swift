public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `encoder`: linear samples to what a carrier or an agent takes.
public struct Encoder: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "encoder", .stage, summary: "Encodes linear 16-bit samples as µ-law, A-law, L16, G.722 or Opus.",
        fields: [
            Field(
                "encoding", .choice(AudioFormat.codedEncodings), example: #""opus""#,
                "Encoding to write; mulaw when not given."),
            Field(
                "packetMs", .choice(["2.5", "5", "10", "20", "40", "60"]), isAdvanced: true, example: #""40""#,
                "Opus: duration of a packet, in milliseconds; that of the audio that arrives when not given, if Opus has it, else 20."
            ),
            Field(
                "bitrate", .integer(OpusOptions.bitrates), isAdvanced: true, example: "24000",
                "Opus: bits per second; chosen by rate and channels when not given."),
            Field(
                "complexity", .integer(0...10), isAdvanced: true, example: "3",
                "Opus: 0 (fastest) to 10 (best); 5 when not given."),
            Field(
                "application", .choice(OpusOptions.Application.allCases.map(\.rawValue)), isAdvanced: true,
                example: #""audio""#,
                "Opus: voip for speech, audio for music, lowDelay for 4 ms less delay without fec; voip when not given."
            ),
            Field(
                "fec", .boolean, isAdvanced: true, example: "true",
                "Opus: whether packets carry a coarse copy of the one before."),
            Field(
                "lossPercent", .integer(0...100), isAdvanced: true, example: "5",
                "Opus: packets in a hundred that the network is expected to lose; 10 with fec and 0 without when not given."
            ),
            Field(
                "dtx", .boolean, isAdvanced: true, example: "true",
                "Opus: whether silence is sent as packets of one or two bytes."),
        ])

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        try output(for: input, wanted: nil, settings: settings)
    }

    /// What the chain has to arrive at decides what the settings leave open.
    public func output(
        for input: AudioFormat, wanted: AudioFormat?, settings: Settings
    ) throws(FormatMismatch) -> AudioFormat {
        // What is to leave at another rate is better resampled before it is encoded than decoded again behind it.
        var rate = input.sampleRate
        if let wanted, wanted.encoding == encoding(settings, wanted) { rate = wanted.sampleRate }
        guard input.encoding == .pcm16 else {
            // There is nothing left to do where the encoding is there already.
            if input.encoding == encoding(settings, wanted), isMet(settings, by: input) { return input }
            throw FormatMismatch(
                "takes pcm16", remedy: "remove this encoder, or put a decoder before it",
                wanted: input.decoded.resampled(to: rate).nearest(takenBy: encoding(settings, wanted)))
        }
        guard input.sampleRate == rate else {
            throw FormatMismatch(
                "would give \(input.sampleRate) Hz",
                remedy: "put \"resampler\" with \"rateHz\": \(rate) before it", wanted: .pcm(rate))
        }
        var output = input
        output.encoding = encoding(settings, wanted)
        switch output.encoding {
        case .pcm16, .l16, .mulaw, .alaw: break
        case .g722: try input.checkRate("G.722", [16_000], channelCounts: 1...1)
        case .opus:
            try input.checkRate("Opus", AudioFormat.opusSampleRates, channelCounts: 1...2)
            let given = packetMicroseconds(settings)
            let following = wanted?.encoding == .opus ? wanted?.packetMicroseconds : nil
            let possible = [given, following, input.packetMicroseconds].compactMap { $0 }
            output.packetMicroseconds = possible.first(where: AudioFormat.opusPacketMicroseconds.contains) ?? 20_000
        }
        return output
    }

    public func isIdentity(for input: AudioFormat, settings: Settings) -> Bool {
        input.encoding != .pcm16 && isMet(settings, by: input)
    }

    /// Whether coded audio is already all that the settings ask for. How it was coded cannot be told from it.
    private func isMet(_ settings: Settings, by input: AudioFormat) -> Bool {
        if let packet = packetMicroseconds(settings), packet != input.packetMicroseconds { return false }
        return !spec.fields.contains { !["encoding", "packetMs"].contains($0.name) && settings.has($0.name) }
    }

    private func packetMicroseconds(_ settings: Settings) -> Int? {
        settings.string("packetMs").flatMap { Double($0) }.map { Int($0 * 1000) }
    }

    public func problems(in settings: Settings) -> [SettingsProblem] {
        let encoding = encoding(settings, nil)
        guard encoding == .opus else {
            let set = spec.fields.map(\.name).filter { $0 != "encoding" && settings.has($0) }
            return settings.problemsOfG722()
                + set.map { name in
                    SettingsProblem(
                        field: name, .notAllowed,
                        "\"\(name)\" is for opus, and this encoder writes \(encoding.rawValue)",
                        remedy: "remove it, or write \"encoding\": \"opus\"")
                }
        }
        let packet = settings.string("packetMs").flatMap { Double($0) } ?? 20
        guard let problem = options(settings).problem(packetMicroseconds: Int(packet * 1000)) else { return [] }
        // The fields' own ranges leave only this one.
        return [SettingsProblem(field: "fec", .notAllowed, problem.message)]
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        let target: AudioFormat
        do throws(FormatMismatch) {
            target = try output(for: input, settings: settings)
        } catch {
            throw PipelineError(.unsupportedFormat, "\(error.message): \(error.remedy)")
        }
        return try makeProcessor(taking: input, giving: target, settings: settings)
    }

    public func makeProcessor(
        taking input: AudioFormat, giving output: AudioFormat, settings: Settings
    ) throws(PipelineError) -> any Processor {
        if input.encoding == output.encoding { return PassThrough() }
        return try EncoderStage(input, to: output, options: options(settings))
    }

    private func encoding(_ settings: Settings, _ wanted: AudioFormat?) -> AudioFormat.Encoding {
        if let given = settings.string("encoding").flatMap(AudioFormat.Encoding.init) { return given }
        guard let wanted, wanted.encoding != .pcm16 else { return .mulaw }
        return wanted.encoding
    }

    private func options(_ settings: Settings) -> OpusOptions {
        var options = OpusOptions()
        options.application =
            settings.string("application").flatMap(OpusOptions.Application.init) ?? options.application
        options.bitrate = settings.integer("bitrate")
        options.complexity = settings.integer("complexity") ?? options.complexity
        options.usesFEC = settings.bool("fec") ?? false
        options.expectedLossPercent = settings.integer("lossPercent") ?? (options.usesFEC ? 10 : 0)
        options.usesDTX = settings.bool("dtx") ?? false
        return options
    }
}

/// Stands for a converter that has nothing to do.
struct PassThrough: Processor {
    func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) { output.emit(frame) }
}

extension AudioFormat {
    fileprivate func resampled(to rate: Int) -> AudioFormat {
        var format = self
        format.sampleRate = rate
        return format
    }

    /// The same at the nearest rate above, or the highest, that an encoder for `encoding` takes.
    fileprivate func nearest(takenBy encoding: Encoding) -> AudioFormat {
        let rates: [Int]
        switch encoding {
        case .pcm16, .l16, .mulaw, .alaw: return self
        case .g722: rates = [16_000]
        case .opus: rates = AudioFormat.opusSampleRates
        }
        guard !rates.contains(sampleRate) else { return self }
        var nearest = self
        nearest.sampleRate = rates.first { $0 >= sampleRate } ?? rates.last ?? sampleRate
        return nearest
    }

    /// - Throws: A mismatch that wants the nearest rate above, or the highest.
    fileprivate func checkRate(
        _ name: String, _ rates: [Int], channelCounts: ClosedRange<Int>
    ) throws(FormatMismatch) {
        let list = rates.map { "\($0)" }.joined(separator: ", ")
        guard channelCounts.contains(channelCount) else {
            throw FormatMismatch(
                "takes \(channelCounts.upperBound == 1 ? "mono" : "one or two channels") for \(name)",
                remedy: "write another encoding")
        }
        guard !rates.contains(sampleRate) else { return }
        var wanted = self
        wanted.sampleRate = rates.first { $0 >= sampleRate } ?? rates.last ?? sampleRate
        throw FormatMismatch(
            "takes \(list) Hz for \(name)", remedy: "put \"resampler\" with \"rateHz\": \(wanted.sampleRate) before it",
            wanted: wanted)
    }
}

extension Settings {
    /// Whether the document sets the field, of whatever kind it is.
    fileprivate func has(_ name: String) -> Bool { string(name) != nil || number(name) != nil || bool(name) != nil }
}
