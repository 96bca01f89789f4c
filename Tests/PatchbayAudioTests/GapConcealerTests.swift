import Glibc
import Testing

@testable import PatchbayAudio

@Suite struct GapConcealerTests {
    private static let formats = [AudioFormat.telephony, AudioFormat(.alaw, sampleRate: 8000), .pcm(8000), .pcm(16000)]

    private func encode(_ samples: ArraySlice<Int16>, _ format: AudioFormat) -> [UInt8] {
        samples.flatMap { sample -> [UInt8] in
            switch format.encoding {
            case .mulaw: [G711.encodeMulaw(sample)]
            case .alaw: [G711.encodeAlaw(sample)]
            default: withUnsafeBytes(of: sample.littleEndian) { Array($0) }
            }
        }
    }

    private func decode(_ bytes: [UInt8], _ format: AudioFormat) -> [Int16] {
        WAVFile(format: format, data: bytes).samples()
    }

    /// Packets of `signal` with some missing, as they are heard: concealed, or with silence in their place.
    private func heard(_ signal: [Int16], missing: Range<Int>, _ format: AudioFormat, conceals: Bool) -> [Int16] {
        var concealer = GapConcealer(format: format)
        let length = format.sampleRate / 50
        var bytes: [UInt8] = []
        for packet in 0..<signal.count / length {
            var payload = encode(signal[packet * length..<(packet + 1) * length], format)
            if missing.contains(packet) {
                payload = payload.map { _ in format.encoding.silenceByte }
                if conceals { payload.withUnsafeMutableBytes { concealer.conceal(into: $0) } }
            } else if conceals {
                payload.withUnsafeMutableBytes { concealer.fadeIn($0) }
                payload.withUnsafeBytes { concealer.remember($0) }
            }
            bytes += payload
        }
        return decode(bytes, format)
    }

    private func largestBend(_ samples: [Int16], _ range: Range<Int>) -> Int {
        range.map { abs(Int(samples[$0 - 1]) - 2 * Int(samples[$0]) + Int(samples[$0 + 1])) }.max() ?? 0
    }

    /// The largest second difference in the gap and at its ends is what the signal has anyway, while silence clicks.
    @Test(arguments: formats, [1, 2, 6])
    func noJointClicks(format: AudioFormat, count: Int) {
        let rate = Double(format.sampleRate), length = format.sampleRate / 50
        let signal = (0..<length * 14).map { index -> Int16 in
            let time = Double(index) / rate + 0.0007
            return Int16(7000 * sin(2 * .pi * 183 * time) + 4000 * sin(2 * .pi * 549 * time + 1))
        }
        let missing = 5..<5 + count
        let usual = largestBend(decode(encode(signal[...], format), format), 10..<signal.count - 10)
        let range = missing.lowerBound * length - 5..<(missing.upperBound + 1) * length
        let concealed = largestBend(heard(signal, missing: missing, format, conceals: true), range)
        let silent = largestBend(heard(signal, missing: missing, format, conceals: false), range)
        #expect(concealed <= usual * 5 / 4, "\(concealed) against \(usual) of the signal itself")
        #expect(silent > usual * 2, "a joint with silence must be worse, or this measures nothing")
    }

    @Test(arguments: formats)
    func itFadesToSilenceIn50Milliseconds(format: AudioFormat) {
        let length = format.sampleRate / 50
        let signal = tone(300, amplitude: 8000, sampleRate: format.sampleRate, count: length * 12)
        let result = heard(signal, missing: 4..<9, format, conceals: true)
        func power(_ milliseconds: Range<Int>) -> Double {
            let part = result[
                4 * length + milliseconds.lowerBound * length / 20..<4 * length + milliseconds.upperBound * length / 20]
            return (part.map { Double($0) * Double($0) }.reduce(0, +) / Double(part.count)).squareRoot()
        }
        #expect(power(0..<10) > 4000)
        #expect(power(10..<20) > power(20..<30) && power(20..<30) > power(30..<40))
        let quiet = result[4 * length + format.sampleRate * 50 / 1000..<9 * length]
        #expect(quiet.allSatisfy { abs($0) <= 8 }, "A-law has no zero")
        #expect(
            result[(9 * length + format.sampleRate / 200)...].elementsEqual(
                decode(encode(signal[(9 * length + format.sampleRate / 200)...], format), format)),
            "only 5 ms are touched")
    }

    @Test func piecesOfAnySizeAreTheSame() {
        let format = AudioFormat.telephony
        let packet = encode(tone(410, amplitude: 9000, sampleRate: 8000, count: 160)[...], format)
        var whole = [UInt8](repeating: 0, count: 480), pieces: [UInt8] = []
        var first = GapConcealer(format: format)
        packet.withUnsafeBytes { first.remember($0) }
        var second = first
        whole.withUnsafeMutableBytes { first.conceal(into: $0) }
        for size in [1, 159, 300, 20] {
            var piece = [UInt8](repeating: 0, count: size)
            piece.withUnsafeMutableBytes { second.conceal(into: $0) }
            pieces += piece
        }
        #expect(pieces == whole && first.isConcealing)
    }

    @Test func withoutAGapNothingIsTouched() {
        let format = AudioFormat.pcm(8000)
        let packet = encode(tone(410, amplitude: 9000, sampleRate: 8000, count: 160)[...], format)
        var concealer = GapConcealer(format: format)
        var next = packet
        packet.withUnsafeBytes { concealer.remember($0) }
        next.withUnsafeMutableBytes { concealer.fadeIn($0) }
        #expect(next == packet && !concealer.isConcealing)
    }

    @Test func whatCannotBeConcealedIsSilent() {
        for format in [
            AudioFormat.telephony, AudioFormat(.g722, sampleRate: 16000), AudioFormat(.opus, sampleRate: 48000),
            AudioFormat(.mulaw, sampleRate: 8000, channelCount: 2),
        ] {
            var concealer = GapConcealer(format: format)
            if format != .telephony { [UInt8](repeating: 7, count: 160).withUnsafeBytes { concealer.remember($0) } }
            var packet = [UInt8](repeating: 1, count: 160)
            packet.withUnsafeMutableBytes { concealer.conceal(into: $0) }
            #expect(packet.allSatisfy { $0 == format.encoding.silenceByte }, "\(format)")
        }
        var short = GapConcealer(format: .telephony)
        [UInt8(0x10)].withUnsafeBytes { short.remember($0) }
        var packet = [UInt8](repeating: 1, count: 800)
        packet.withUnsafeMutableBytes { short.conceal(into: $0) }
        #expect(packet.last == 0xFF, "a single sample fades as well")
    }
}
