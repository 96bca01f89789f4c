import Glibc

/// Eight complex spectral lines of each block of 5 ms, by Goertzel's recursion, all eight at once.
struct GoertzelBank: Sendable {
    /// What one block holds at the eight frequencies, with phases relative to the block's first sample.
    struct Block: Sendable {
        var real = SIMD8<Float>.zero
        var imaginary = SIMD8<Float>.zero
        /// The sum of its squared samples.
        var energy: Float = 0
    }

    /// Samples of a block.
    let blockLength: Int
    /// How a line turns from one block to the next: `exp(-iωN)`.
    let turn: Factors
    private let coefficient: SIMD8<Float>
    private let first: Factors
    private let last: Factors
    private var state = SIMD8<Float>.zero
    private var stateBefore = SIMD8<Float>.zero
    private var energy: Float = 0
    private var count = 0

    /// Eight complex factors.
    struct Factors: Sendable {
        var real: SIMD8<Float>
        var imaginary: SIMD8<Float>

        /// `exp(-i · angle)` for each angle.
        init(_ angles: [Double]) {
            (real, imaginary) = (.zero, .zero)
            for (index, angle) in angles.prefix(8).enumerated() {
                real[index] = Float(cos(angle))
                imaginary[index] = Float(-sin(angle))
            }
        }
    }

    /// - Parameter frequencies: Eight, in Hz.
    init(_ frequencies: [Double], sampleRate: Int) {
        blockLength = max(1, sampleRate / 200)
        let length = Double(blockLength)
        let angles = frequencies.map { 2 * .pi * $0 / Double(sampleRate) }
        first = Factors(angles)
        coefficient = first.real * 2
        last = Factors(angles.map { $0 * (length - 1) })
        turn = Factors(angles.map { $0 * length })
    }

    /// Takes samples up to the end of the block at most.
    ///
    /// - Returns: How many were taken, and the block if it is complete.
    mutating func take(_ samples: Slice<UnsafeBufferPointer<Int16>>) -> (taken: Int, block: Block?) {
        let taken = min(samples.count, blockLength - count)
        var (state, before, energy) = (state, stateBefore, energy)
        for index in samples.startIndex..<samples.startIndex + taken {
            let sample = Float(samples[index])
            energy += sample * sample
            let next = coefficient * state - before + sample
            before = state
            state = next
        }
        count += taken
        guard count == blockLength else {
            (self.state, stateBefore, self.energy) = (state, before, energy)
            return (taken, nil)
        }
        // y = s₁ - exp(-iω)·s₂ is the line times exp(iω(N-1)).
        let real = state - first.real * before
        let imaginary = SIMD8<Float>.zero - first.imaginary * before
        reset()
        return (
            taken,
            Block(
                real: real * last.real - imaginary * last.imaginary,
                imaginary: real * last.imaginary + imaginary * last.real, energy: energy)
        )
    }

    /// Forgets the incomplete block.
    mutating func reset() {
        state = .zero
        stateBefore = .zero
        energy = 0
        count = 0
    }
}
