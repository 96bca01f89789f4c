public import PatchbayAudio

/// A sound to begin with, where a document needs a file: two seconds of a soft murmur, 8 kHz, which can go round and
/// round.
public enum ExampleSound {
    /// The sound; the same bytes every time.
    public static var file: WAVFile {
        var state: UInt32 = 0x5EED
        let count = 16_000
        var noise: [Int32] = []
        for _ in 0..<count {
            // Numerical Recipes' generator (Press et al., 2007, §7.1.4): good enough to hear, and the same everywhere.
            state = state &* 1_664_525 &+ 1_013_904_223
            noise.append(Int32(state >> 20) - 2048)
        }
        // A running mean over 16 samples, taken in a circle, so that the end meets the beginning.
        var sum = noise.suffix(16).reduce(0, +)
        var samples: [Int16] = []
        for (index, value) in noise.enumerated() {
            sum += value - noise[(index + count - 16) % count]
            samples.append(Int16(clamping: sum / 4))
        }
        return WAVFile(samples: samples, sampleRate: 8000)
    }
}
