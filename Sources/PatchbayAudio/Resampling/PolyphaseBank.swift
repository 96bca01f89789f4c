/// A low-pass filter laid out for one pair of rates.
///
/// Input and output go in blocks of the same duration, `inputs` sample frames here and `outputs` there; the filter runs
/// at `inputs * outputs` times the rate of blocks, but only products of given samples for wanted ones are ever
/// computed. The `s`-th samples of all blocks make the input stream `s`, the `r`-th ones output stream `r`; each output
/// stream is a sum of ordinary FIR filters over all input streams. That suits vectors: neighbours in an output stream
/// take the same taps and neighbouring inputs.
struct PolyphaseBank {
    struct Tap {
        /// Input stream.
        var stream: Int
        /// Place in the stream, in blocks after the output's own.
        var place: Int
        var gain: Float
    }

    /// Sample frames that go in for each block.
    let inputs: Int
    /// Sample frames that come out for each block.
    let outputs: Int
    /// The taps of each output stream, none of them zero.
    let taps: [[Tap]]
    /// The places that taps reach. None is more than one block behind its end, so `upperBound` complete blocks must
    /// follow one's start before that one can be computed.
    let reach: ClosedRange<Int>
    /// How late the signal comes out, in nanoseconds: look-ahead, plus how late low tones are in what comes out.
    let delayNanoseconds: Int64
    /// Sample frames of ringing that come out after the last input's own.
    let tail: Int

    /// For a pair of `PolyphaseDesign.sampleRates` that differ.
    init(_ design: PolyphaseDesign, from inputRate: Int, to outputRate: Int) {
        let common = greatestCommonDivisor(inputRate, outputRate)
        let inputs = inputRate / common
        let outputs = outputRate / common
        let factor = max(inputs, outputs)
        let filter = design.taps(factor: factor)
        // The tap that belongs to an output sample's own instant. A filter of linear phase is centred there. One of
        // minimum phase may look ahead by what arrives with the same block anyway.
        let centre = design == .linearPhase ? (filter.count - 1) / 2 : max(0, inputs - outputs)
        var taps: [[Tap]] = []
        for output in 0..<outputs {
            // In steps of the common multiple of both rates, input i stands at i * outputs, this sample at output *
            // inputs.
            let last = floorDivision(output * inputs + centre, outputs)
            let first = -floorDivision(filter.count - 1 - output * inputs - centre, outputs)
            taps.append(
                (first...last).compactMap { input in
                    let tap = filter[output * inputs + centre - input * outputs]
                    guard tap != 0 else { return nil }
                    let place = floorDivision(input, inputs)
                    // Taps are for raising the rate by `factor`.
                    let gain = Double(tap) * Double(outputs) / Double(factor) / PolyphaseBank.unit
                    return Tap(stream: input - place * inputs, place: place, gain: Float(gain))
                })
        }
        let places = taps.joined().map(\.place)
        let reach = (places.min() ?? 0)...(places.max() ?? 0)
        self.inputs = inputs
        self.outputs = outputs
        self.taps = taps
        self.reach = reach

        var lag = 0.0
        var ringing = 0
        if design == .lowDelay {
            let sum = filter.reduce(0.0) { $0 + Double($1) }
            let groupDelay = filter.enumerated().reduce(0.0) { $0 + Double($1.offset) * Double($1.element) } / sum
            lag = (groupDelay - Double(centre)) / Double(outputs)
            ringing = PolyphaseBank.ringing * factor - centre
        }
        let lookahead = Double((reach.upperBound + 1) * inputs - 1)
        delayNanoseconds = Int64(((lookahead + lag) * 1e9 / Double(inputRate)).rounded())
        tail = max(0, (ringing + inputs - 1) / inputs)
    }

    /// One, in the tables.
    private static let unit = Double(1 << 24)
    /// Periods of the lower rate by which 99 % of the energy of a minimum-phase filter's impulse is out.
    private static let ringing = 10
}

/// The quotient rounded down, for a divisor above 0.
private func floorDivision(_ dividend: Int, _ divisor: Int) -> Int {
    let quotient = dividend / divisor
    return dividend < quotient * divisor ? quotient - 1 : quotient
}
