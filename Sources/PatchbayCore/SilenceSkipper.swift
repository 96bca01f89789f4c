import PatchbayAudio

/// Finds silence in the agent's speech that can be left out when playback has fallen behind.
///
/// After a stall a caller hears a pause that the agent did not make, and everything after it is late. The next pauses that
/// the agent does make are shortened by as much, down to what speech needs to stay natural.
struct SilenceSkipper {
    /// Level below which a packet is silence, in dBFS: above the noise of a telephone line, below soft speech.
    static let level = -45.0
    /// What is left of each pause.
    static let kept = TimeSpan.milliseconds(100)

    private var run = TimeSpan.zero
    private var samples: [Int16] = []

    /// Whether the packet can be left out. Asked for every packet while there is a delay to make up for.
    mutating func canSkip(_ audio: AudioFrame) -> Bool {
        guard isSilent(audio) else {
            run = .zero
            return false
        }
        run = run + audio.duration
        return run > Self.kept
    }

    mutating func reset() { run = .zero }

    private mutating func isSilent(_ audio: AudioFrame) -> Bool {
        switch audio.format.encoding {
        case .pcm16:
            return audio.payload.withUnsafeSamples(copyingInto: &samples) { LevelMeter.rms($0) } < Self.level
        case .mulaw, .alaw:
            let count = audio.payload.readableBytes
            if samples.count < count { samples.append(contentsOf: repeatElement(0, count: count - samples.count)) }
            return audio.payload.withUnsafeReadableBytes { bytes in
                samples.withUnsafeMutableBufferPointer { samples in
                    let decoded =
                        audio.format.encoding == .mulaw
                        ? G711.decodeMulaw(bytes, into: samples) : G711.decodeAlaw(bytes, into: samples)
                    return LevelMeter.rms(UnsafeBufferPointer(rebasing: samples[..<decoded])) < Self.level
                }
            }
        case .l16, .g722, .opus: return false
        }
    }
}
