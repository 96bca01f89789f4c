import PatchbayAudio
import PatchbayCore

extension AudioFormat {
    /// As short as a joint of a drawing has room for: `µ-law 8 kHz`, `opus 48 kHz stereo 40 ms`.
    var short: String { "\(shortEncoding) \(kilohertz) kHz\(shortLayout)" }

    fileprivate var shortEncoding: String {
        switch encoding {
        case .mulaw: "µ-law"
        case .alaw: "A-law"
        case .pcm16: "pcm16"
        case .l16: "L16"
        case .g722: "G.722"
        case .opus: "opus"
        }
    }

    fileprivate var kilohertz: String { (Double(sampleRate) / 1000).plain }

    /// What is unusual about channels and packets.
    fileprivate var shortLayout: String {
        var words = ""
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
    /// `as it comes`, `µ-law 8 kHz, pcm16 8 or 16 kHz`, or what it may take and what it may give.
    func words(at joint: AudioFormat) -> String {
        func list(_ formats: [AudioFormat]) -> String {
            var groups: [(encoding: String, layout: String, rates: [String])] = []
            for format in formats {
                let (encoding, layout) = (format.shortEncoding, format.shortLayout)
                if let index = groups.firstIndex(where: { $0.encoding == encoding && $0.layout == layout }) {
                    groups[index].rates.append(format.kilohertz)
                } else {
                    groups.append((encoding, layout, [format.kilohertz]))
                }
            }
            return groups.map { "\($0.encoding) \(alternatives($0.rates)) kHz\($0.layout)" }.joined(separator: ", ")
        }
        if inputs == [joint], outputs == [joint] { return "as it comes" }
        if inputs == outputs { return list(inputs) }
        return "takes \(list(inputs)); gives \(list(outputs))"
    }
}
