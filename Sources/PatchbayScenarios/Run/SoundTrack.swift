public import PatchbayCore

/// What one side sounded like at the caller's phone, and where in it there is sound.
///
/// A pause belongs to the speech around it while it is short, so the end of a stretch is known only ``gap`` after it.
public struct SoundTrack: Sendable {
    /// Silence that ends a stretch of sound.
    public static let gap = TimeSpan.milliseconds(400)
    /// In Hz.
    public static let sampleRate = 8000
    /// Samples of a packet.
    static let packetSamples = 160
    static let packet = TimeSpan.milliseconds(20)

    /// From the first sound to the last.
    public struct Stretch: Sendable, Equatable {
        public var start: TimeSpan
        public var end: TimeSpan
    }

    enum Edge: Equatable { case starts(TimeSpan), stops(TimeSpan) }

    /// From the beginning of the stream on.
    public private(set) var samples: [Int16] = []
    public private(set) var stretches: [Stretch] = []
    private(set) var isSounding = false
    private let threshold: Int

    init(threshold: Int) { self.threshold = threshold }

    /// Where the next packet begins.
    var end: TimeSpan { .milliseconds(Int64(samples.count * 1000 / Self.sampleRate)) }

    /// Adds a packet.
    ///
    /// - Returns: What became known by it.
    mutating func append(_ packet: [Int16]) -> Edge? {
        let start = end
        samples += packet
        if packet.contains(where: { abs(Int($0)) > threshold }) {
            if isSounding {
                stretches[stretches.count - 1].end = end
                return nil
            }
            isSounding = true
            stretches.append(Stretch(start: start, end: end))
            return .starts(start)
        }
        guard isSounding, let last = stretches.last, end - last.end >= Self.gap else { return nil }
        isSounding = false
        return .stops(last.end)
    }

    /// Nothing follows.
    mutating func close() -> Edge? {
        guard isSounding, let last = stretches.last else { return nil }
        isSounding = false
        return .stops(last.end)
    }

    /// The stretches of sound in a piece that is known as a whole.
    static func stretches(in samples: [Int16], threshold: Int) -> [Stretch] {
        var track = SoundTrack(threshold: threshold)
        for start in stride(from: 0, to: samples.count, by: packetSamples) {
            _ = track.append(Array(samples[start..<min(start + packetSamples, samples.count)]))
        }
        return track.stretches
    }

    /// The samples between two times, as far as there are any.
    func samples(from start: TimeSpan, to end: TimeSpan) -> ArraySlice<Int16> {
        let rate = Int64(Self.sampleRate)
        let from = min(max(0, Int(start.milliseconds * rate / 1000)), samples.count)
        let to = min(max(from, Int(end.milliseconds * rate / 1000)), samples.count)
        return samples[from..<to]
    }
}
