import PatchbayAudio
import PatchbayCore

extension AudioFormat {
    /// As short as a joint of a drawing has room for: `µ-law 8 kHz`, `opus 48 kHz stereo 40 ms`.
    var short: String {
        let name =
            switch encoding {
            case .mulaw: "µ-law"
            case .alaw: "A-law"
            case .pcm16: "pcm16"
            case .l16: "L16"
            case .g722: "G.722"
            case .opus: "opus"
            }
        var words = "\(name) \((Double(sampleRate) / 1000).plain) kHz"
        if channelCount == 2 { words += " stereo" } else if channelCount > 2 { words += " \(channelCount) ch" }
        if packetMicroseconds != 20_000 { words += " \(packetMilliseconds.plain) ms" }
        return words
    }
}

extension TimeSpan {
    /// Milliseconds to the microsecond: `20.417`.
    var inMilliseconds: Double { Double((nanoseconds + (nanoseconds < 0 ? -500 : 500)) / 1000) / 1000 }

    /// Milliseconds with one digit behind the point: `0.2 ms`; empty for nothing.
    var label: String {
        guard nanoseconds > 0 else { return "" }
        return nanoseconds < 50_000 ? "<0.1 ms" : "\(inTenths) ms"
    }
}

extension AgentFormats {
    /// `µ-law 8 kHz` when it is one format both ways, else what it may take and give.
    func words(at joint: AudioFormat) -> String {
        func list(_ formats: [AudioFormat]) -> String { formats.map(\.short).joined(separator: ", ") }
        if inputs == [joint], outputs == [joint] { return "as it comes" }
        if inputs == outputs { return list(inputs) }
        return "takes \(list(inputs)); gives \(list(outputs))"
    }
}
