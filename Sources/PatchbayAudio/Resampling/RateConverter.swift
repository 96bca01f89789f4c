/// What stands behind a ``StreamResampler``: one way to change the rate of one stream, with the same contract.
protocol RateConverter: AnyObject {
    /// How late the signal comes out, in nanoseconds.
    var delayNanoseconds: Int64 { get }
    /// The most sample frames that `process` gives for `frames` that go in.
    func maximumOutput(forFrames frames: Int) -> Int
    /// The most sample frames that `flush` gives.
    var maximumFlushFrames: Int { get }

    /// Converts whole sample frames. Returns the samples written; what does not fit is lost.
    func process(_ input: UnsafeBufferPointer<Int16>, into output: UnsafeMutableBufferPointer<Int16>) -> Int
    /// Gives out what is held back and starts anew.
    func flush(into output: UnsafeMutableBufferPointer<Int16>) -> Int
    /// Starts anew.
    func reset()
}

package func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }

/// The most sample frames that come out for `count` that go in, wherever between two samples the last one ended.
func maximumFrames(forInput count: Int, from inputRate: Int, to outputRate: Int) -> Int {
    ((count + 1) * outputRate + inputRate - 1) / inputRate + 1
}
