/// Everything in a window that is not the tone: noise, distortion, images, aliases and direct current together.
enum ToneNoise {
    /// Signal to noise of one tone after a least-squares fit of its amplitude and phase, in dB.
    ///
    /// A perfect path of 16 bits on both sides gives about 89 dB for a tone at -6 dBFS: both ends round.
    static func ratio(of frequency: Double, in window: ArraySlice<Int16>, sampleRate: Int) -> Double {
        let amplitude = Phasor(of: frequency, in: window, sampleRate: sampleRate).amplitude
        let signal = amplitude * amplitude / 2
        return ratio(signal: signal, total: power(window))
    }

    /// Signal to noise where the signal's share of a total power is known, in dB; at most 140, where doubles end.
    static func ratio(signal: Double, total: Double) -> Double {
        let noise = max(total - signal, total * 1e-14)
        return noise > 0 ? max(-200, decibels(power: signal / noise)) : -200
    }

    /// Mean square of the samples.
    static func power(_ window: ArraySlice<Int16>) -> Double {
        window.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(max(1, window.count))
    }
}
