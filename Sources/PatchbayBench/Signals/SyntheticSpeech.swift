import Glibc

/// A voice that nobody owns: a pulse train through three formants, four syllables a second, over faint noise.
///
/// What a codec, a voice detector or a branch in a loop does depends on the signal; this is close enough to speech for
/// costs and for a detector's reaction, and it is the same samples every time.
struct SyntheticSpeech: Sendable {
    /// First three formants of /a/, /i/, /o/ of a low voice, in Hz (Peterson and Barney, JASA 24, 1952, rounded).
    private static let vowels: [[Double]] = [[730, 1090, 2440], [270, 2290, 3010], [570, 840, 2410]]

    /// - Parameters:
    ///   - speech: The part with a voice, in seconds; before and after it there is noise alone.
    ///   - gaps: Whether the voice pauses between syllables.
    /// - Returns: 16-bit mono, the voice with peaks near -8 dBFS, the noise at -65 dBFS.
    static func samples(
        seconds: Double, sampleRate: Int, speech: Range<Double>? = nil, gaps: Bool = true
    ) -> [Int16] {
        let count = Int(seconds * Double(sampleRate))
        let speech = speech ?? 0..<seconds
        var random = SplitMix(seed: 42)
        var phase = 0.0
        var formants = vowels[0].map { Resonator($0, bandwidth: 90, sampleRate: sampleRate) }
        var syllable = -1
        var voice = [Double](repeating: 0, count: count)
        var noise = [Double](repeating: 0, count: count)
        for index in 0..<count {
            let time = Double(index) / Double(sampleRate)
            noise[index] = 18 * random.nextNormal()
            guard speech.contains(time) else { continue }
            let beats = (time - speech.lowerBound) * 4
            if Int(beats) != syllable {
                syllable = Int(beats)
                for (place, frequency) in vowels[syllable % vowels.count].enumerated() {
                    formants[place].tune(frequency, bandwidth: 90, sampleRate: sampleRate)
                }
            }
            phase += (120 + 15 * sin(2 * .pi * 0.7 * time)) / Double(sampleRate)
            var excitation = 0.02 * random.nextNormal()
            if phase >= 1 {
                phase -= 1
                excitation += 1
            }
            let within = beats - Double(syllable)
            let envelope = gaps ? max(0, sin(.pi * min(1, within / 0.8))) : 1
            var value = 0.0
            for place in formants.indices { value += formants[place].process(excitation) / Double(place + 1) }
            voice[index] = value * envelope
        }
        let peak = voice.reduce(1e-9) { max($0, abs($1)) }
        let gain = 32767 * pow(10, -8.0 / 20) / peak
        return (0..<count).map { Int16(max(-32768, min(32767, (voice[$0] * gain + noise[$0]).rounded()))) }
    }

    /// A two-pole resonance.
    private struct Resonator {
        private var first = 0.0
        private var second = 0.0
        private var feedback = (0.0, 0.0)

        init(_ frequency: Double, bandwidth: Double, sampleRate: Int) {
            tune(frequency, bandwidth: bandwidth, sampleRate: sampleRate)
        }

        mutating func tune(_ frequency: Double, bandwidth: Double, sampleRate: Int) {
            let radius = exp(-.pi * bandwidth / Double(sampleRate))
            feedback = (2 * radius * cos(2 * .pi * frequency / Double(sampleRate)), -radius * radius)
        }

        mutating func process(_ input: Double) -> Double {
            let output = input + feedback.0 * first + feedback.1 * second
            (second, first) = (first, output)
            return output
        }
    }
}
