/// The filters of Patchbay's own resampler.
///
/// Both are flat within 0.03 dB up to 0.425 of the lower rate and reject 80 dB and more from 0.575 of it on, measured
/// on 16-bit samples: for 8 kHz, that is speech to 3.4 kHz and nothing of what lies above 4.6 kHz.
public enum PolyphaseDesign: String, Hashable, Sendable, CaseIterable {
    /// Every frequency is equally late, so the waveform keeps its shape; at a factor of 2 half of the samples pass
    /// unchanged.
    ///
    /// Holds back 1.6 to 2.0 ms for pairs with 8 kHz, 0.8 to 0.9 ms for 16 with 24 or 48 kHz, 0.7 ms for 24 with 48
    /// kHz.
    case linearPhase = "linear-phase"
    /// Minimum phase: holds nothing back, so 20 ms in are 20 ms out from the first packet on, and no packet waits for
    /// the next to be filled.
    ///
    /// With 8 kHz, low tones are 0.2 ms late, and the later the higher, up to 0.7 ms at 3.4 kHz, which nobody hears but
    /// which changes the shape of the waveform. An utterance comes out 1.3 ms longer than it went in, by the filter's
    /// ringing after its end. With 24 kHz, all of that is a third. Offered because it cuts the delay to a tenth at the
    /// same specification and cost, and because a stage that holds nothing back makes no packet late.
    case lowDelay = "low-delay"

    /// Sample rates, in Hz. Any two of them are a pair.
    public static let sampleRates = [8000, 16_000, 24_000, 48_000]

    /// Whether there is a filter for these two rates, which must differ.
    public static func supports(from inputRate: Int, to outputRate: Int) -> Bool {
        inputRate != outputRate && sampleRates.contains(inputRate) && sampleRates.contains(outputRate)
    }

    /// The taps for a common multiple of `factor` times the lower rate.
    func taps(factor: Int) -> [Int32] {
        switch (self, factor) {
        case (.linearPhase, 2): PolyphaseTables.linear2
        case (.linearPhase, 3): PolyphaseTables.linear3
        case (.linearPhase, _): PolyphaseTables.linear6
        case (.lowDelay, 2): PolyphaseTables.minimum2
        case (.lowDelay, 3): PolyphaseTables.minimum3
        case (.lowDelay, _): PolyphaseTables.minimum6
        }
    }
}
