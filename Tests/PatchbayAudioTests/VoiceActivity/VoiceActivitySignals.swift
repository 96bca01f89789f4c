@testable import PatchbayAudio

/// Noise of a linear congruential generator with a buzz in its middle second: 24,000 samples that any language can make.
let buzzInNoise: [Int16] = {
    var state: UInt32 = 1
    return (0..<24_000).map { index in
        state = (1_103_515_245 &* state &+ 12_345) & 0x7FFF_FFFF
        var value = (Int((state >> 16) & 0x7FFF) - 16_384) >> 7
        if (8000..<16_000).contains(index) {
            value += index % 67 < 34 ? 3000 : -3000
            value += index % 11 < 6 ? 1200 : -1200
        }
        return Int16(value)
    }
}()

extension SpeechDetector {
    /// Every window of a signal that is fed in blocks.
    mutating func windows(_ samples: [Int16], block: Int = 160) -> [Window] {
        var windows: [Window] = []
        for start in stride(from: 0, to: samples.count, by: block) {
            samples[start..<min(samples.count, start + block)].withUnsafeBufferPointer {
                process($0) { windows.append($0) }
            }
        }
        return windows
    }
}

extension VoiceActivityDetector {
    /// The scores of all whole windows of a signal.
    mutating func scores(_ samples: [Int16]) -> [Double] {
        var scores: [Double] = []
        for start in stride(from: 0, through: samples.count - windowLength, by: windowLength) {
            samples[start..<start + windowLength].withUnsafeBufferPointer { scores.append(score($0)) }
        }
        return scores
    }
}
