import CPatchbayKernels
import PatchbayAudio
import Testing

/// The runs of the C kernel, in whichever form this processor takes and in the portable one, against single values.
@Suite struct G711KernelTests {
    private static let samples = (Int16.min...Int16.max).map { $0 }
    private static let codes = (0..<1027).map { UInt8(truncatingIfNeeded: $0 &* 89 &+ $0 >> 8) }

    private func encoded(
        _ samples: [Int16], _ run: (UnsafePointer<Int16>?, UnsafeMutablePointer<UInt8>?, Int) -> Void
    ) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: samples.count) { codes, count in
            samples.withUnsafeBufferPointer { run($0.baseAddress, codes.baseAddress, samples.count) }
            count = samples.count
        }
    }

    private func decoded(
        _ codes: [UInt8], _ run: (UnsafePointer<UInt8>?, UnsafeMutablePointer<Int16>?, Int) -> Void
    ) -> [Int16] {
        [Int16](unsafeUninitializedCapacity: codes.count) { samples, count in
            codes.withUnsafeBufferPointer { run($0.baseAddress, samples.baseAddress, codes.count) }
            count = codes.count
        }
    }

    @Test func bothFormsEncodeEverySampleAlike() {
        for samples in [Self.samples, Array(Self.samples.dropFirst(3).dropLast(2)), Array(Self.samples.prefix(7))] {
            let mulaw = samples.map { G711.encodeMulaw($0) }
            #expect(encoded(samples, patchbay_mulaw_encode) == mulaw)
            #expect(encoded(samples, patchbay_mulaw_encode_portable) == mulaw)
            let alaw = samples.map { G711.encodeAlaw($0) }
            #expect(encoded(samples, patchbay_alaw_encode) == alaw)
            #expect(encoded(samples, patchbay_alaw_encode_portable) == alaw)
        }
    }

    @Test func bothFormsDecodeEveryCodeAlike() {
        for codes in [Self.codes, Array(Self.codes.dropFirst(5)), [1, 2, 3], []] {
            let mulaw = codes.map { G711.decodeMulaw($0) }
            #expect(decoded(codes, patchbay_mulaw_decode) == mulaw)
            #expect(decoded(codes, patchbay_mulaw_decode_portable) == mulaw)
            let alaw = codes.map { G711.decodeAlaw($0) }
            #expect(decoded(codes, patchbay_alaw_decode) == alaw)
            #expect(decoded(codes, patchbay_alaw_decode_portable) == alaw)
        }
    }
}
