import PatchbayAudio

/// The stages on one side of the agent, as they are put together: each finds the format that it takes.
struct SkeletonLeg {
    typealias Entry = SkeletonEntry<any StageComponent>

    private let registry: ComponentRegistry
    /// What the last entry gives.
    private(set) var format: AudioFormat
    private(set) var entries: [Entry] = []

    init(_ registry: ComponentRegistry, from format: AudioFormat) {
        self.registry = registry
        self.format = format
    }

    /// Appends the entry, with the converters that it needs before it.
    ///
    /// - Returns: False when nothing makes it fit; then the leg stays as it was.
    mutating func append(_ entry: Entry, wanted: AudioFormat? = nil) -> Bool {
        if take(entry, wanted) { return true }
        for rate in [format.sampleRate, 16_000, 8000, 24_000, 48_000] {
            let target = AudioFormat.pcm(rate)
            var leg = self
            leg.convert(to: target)
            if leg.format == target, leg.take(entry, wanted) {
                self = leg
                return true
            }
        }
        return false
    }

    /// Appends the stock converters that lead to `target`, as far as they are registered.
    mutating func convert(to target: AudioFormat) {
        guard format != target else { return }
        if format.encoding != .pcm16, let decoder = registry.stage("decoder") { _ = take(Entry(decoder), nil) }
        if format.sampleRate != target.sampleRate, let resampler = registry.stage("resampler") {
            var entry = Entry(resampler)
            entry.set("rateHz", JSONValue(target.sampleRate))
            _ = take(entry, nil)
        }
        if format.encoding == .pcm16, target.encoding != .pcm16, let encoder = registry.stage("encoder") {
            var entry = Entry(encoder)
            let plain = try? encoder.output(for: format, wanted: target, settings: entry.settings)
            if plain != target { entry.set("encoding", .string(target.encoding.rawValue)) }
            _ = take(entry, target)
        }
    }

    private mutating func take(_ entry: Entry, _ wanted: AudioFormat?) -> Bool {
        guard let output = try? entry.component.output(for: format, wanted: wanted, settings: entry.settings) else {
            return false
        }
        entries.append(entry)
        format = output
        return true
    }
}
