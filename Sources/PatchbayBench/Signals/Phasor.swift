import Glibc

/// Amplitude and phase of one frequency: the signal `Re(value · e^(2πi·frequency·t))`, with `t` from the start of a window.
struct Phasor: Hashable, Sendable {
    var real: Double
    var imaginary: Double

    /// Peak amplitude, in the unit of the samples.
    var amplitude: Double { (real * real + imaginary * imaginary).squareRoot() }

    /// One term of a discrete Fourier transform.
    ///
    /// Exact, and blind to every other such frequency, if the window holds a whole number of periods: with
    /// ``AnalysisWindow`` that is any multiple of 5 Hz. O(n), one sine and one cosine in all.
    init(of frequency: Double, in samples: ArraySlice<Int16>, sampleRate: Int) {
        let step = 2 * Double.pi * frequency / Double(sampleRate)
        let (stepCosine, stepSine) = (cos(step), sin(step))
        var (cosine, sine) = (1.0, 0.0)
        var (sumReal, sumImaginary) = (0.0, 0.0)
        for sample in samples {
            let value = Double(sample)
            sumReal += value * cosine
            sumImaginary -= value * sine
            // Turning by one step at a time loses about one bit in a thousand steps: -250 dB over a window.
            (cosine, sine) = (cosine * stepCosine - sine * stepSine, cosine * stepSine + sine * stepCosine)
        }
        // At 0 Hz and at half the rate there is no second half of the spectrum to share the amplitude with.
        let isEdge = frequency == 0 || frequency * 2 == Double(sampleRate)
        let scale = (isEdge ? 1.0 : 2.0) / Double(max(1, samples.count))
        (real, imaginary) = (sumReal * scale, sumImaginary * scale)
    }

    init(amplitude: Double, phase: Double) {
        (real, imaginary) = (amplitude * cos(phase), amplitude * sin(phase))
    }
}

/// The stretch of a steady signal that measurements look at: 200 ms at the end, in which every multiple of 5 Hz has a whole
/// number of periods, at every usual rate.
enum AnalysisWindow {
    static let seconds = 0.2
    /// Frequencies of test signals are multiples of this, in Hz.
    static let resolution = 5.0

    /// The window of a run's output, or `nil` if that is shorter.
    static func last(of samples: [Int16], sampleRate: Int) -> ArraySlice<Int16>? {
        let count = sampleRate / 5
        return samples.count >= count ? samples.suffix(count) : nil
    }

    /// The multiple of 5 Hz nearest to `frequency`.
    static func aligned(_ frequency: Double) -> Double { (frequency / resolution).rounded() * resolution }
}

/// 20·log₁₀, with a floor that JSON can hold.
func decibels(_ ratio: Double) -> Double { ratio > 1e-10 ? 20 * log10(ratio) : -200 }

/// 10·log₁₀ of a ratio of powers, with a floor that JSON can hold.
func decibels(power ratio: Double) -> Double { ratio > 1e-20 ? 10 * log10(ratio) : -200 }
