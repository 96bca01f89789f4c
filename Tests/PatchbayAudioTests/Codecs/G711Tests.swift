import PatchbayAudio
import Testing

/// G.711 bit by bit, as slow as it is plain.
private enum Oracle {
    static func bits(_ value: Int, _ count: Int) -> [Int] { (0..<count).reversed().map { value / (1 << $0) % 2 } }
    static func value(_ bits: some Sequence<Int>) -> Int { bits.reduce(0) { 2 * $0 + $1 } }

    static func decodeMulaw(_ code: Int) -> Int {
        let word = bits(code, 8).map { 1 - $0 }
        var step = 2
        var base = 0
        for _ in 0..<value(word[1...3]) {
            base += 16 * step
            step *= 2
        }
        // Interval number i of a segment stands for its middle, on the scale of 14 bits; the first segment's
        // zeroth interval is half as wide and stands for 0.
        let magnitude =
            4 * (base + step * value(word[4...7]))
            + (value(word[1...3]) == 0 ? 0 : 4 * (step / 2 - 1))
        return word[0] == 1 ? -magnitude : magnitude
    }

    static func encodeMulaw(_ sample: Int) -> Int {
        let magnitude = sample < 0 ? -sample - 1 : sample
        let m = min(magnitude / 4 + 33, 8191)
        let digits = Array(bits(m, 13))
        let highest = digits.firstIndex(of: 1)!
        let segment = (12 - highest) - 5
        let word = [sample < 0 ? 1 : 0] + bits(segment, 3) + digits[(highest + 1)...(highest + 4)]
        return value(word.map { 1 - $0 })
    }

    static func decodeAlaw(_ code: Int) -> Int {
        let word = bits(code, 8).enumerated().map { $0.offset % 2 == 1 ? 1 - $0.element : $0.element }
        var step = 16
        var base = 0
        for segment in 0..<value(word[1...3]) {
            base += 16 * step
            if segment > 0 { step *= 2 }
        }
        let magnitude = base + step * value(word[4...7]) + step / 2
        return word[0] == 1 ? magnitude : -magnitude
    }

    static func encodeAlaw(_ sample: Int) -> Int {
        let m = (sample < 0 ? -sample - 1 : sample) / 16
        let digits = bits(m, 11)
        let segment: Int
        let fraction: [Int]
        if m < 16 {
            segment = 0
            fraction = bits(m, 4)
        } else {
            let highest = digits.firstIndex(of: 1)!
            segment = (10 - highest) - 3
            fraction = Array(digits[(highest + 1)...(highest + 4)])
        }
        let word = [sample < 0 ? 0 : 1] + bits(segment, 3) + fraction
        return value(word.enumerated().map { $0.offset % 2 == 1 ? 1 - $0.element : $0.element })
    }
}

@Suite struct G711Tests {
    static let codes = (0...255).map { UInt8($0) }
    static let samples = (-32768...32767).map { Int16($0) }

    @Test func everyCodeDecodesAsTheOracleSays() {
        for code in G711Tests.codes {
            #expect(Int(G711.decodeMulaw(code)) == Oracle.decodeMulaw(Int(code)), "µ-law \(code)")
            #expect(Int(G711.decodeAlaw(code)) == Oracle.decodeAlaw(Int(code)), "A-law \(code)")
        }
    }

    @Test func everySampleEncodesAsTheOracleSays() {
        let mulaw = G711Tests.samples.filter { Int(G711.encodeMulaw($0)) != Oracle.encodeMulaw(Int($0)) }
        let alaw = G711Tests.samples.filter { Int(G711.encodeAlaw($0)) != Oracle.encodeAlaw(Int($0)) }
        #expect(mulaw.isEmpty, "\(mulaw.count) samples, first \(mulaw.first ?? 0)")
        #expect(alaw.isEmpty, "\(alaw.count) samples, first \(alaw.first ?? 0)")
    }

    /// Values read from tables 1 and 2 of ITU-T G.711, scaled to 16 bits.
    @Test func knownValues() {
        let mulaw = [(0x00, -32124), (0x80, 32124), (0xFF, 0), (0x7F, 0), (0xFE, 8), (0xF0, 120), (0xEF, 132)]
        for (code, sample) in mulaw {
            #expect(Int(G711.decodeMulaw(UInt8(code))) == sample, "µ-law \(code)")
        }
        let alaw = [(0xAA, 32256), (0x2A, -32256), (0xD5, 8), (0x55, -8), (0xDA, 248), (0xC5, 264)]
        for (code, sample) in alaw {
            #expect(Int(G711.decodeAlaw(UInt8(code))) == sample, "A-law \(code)")
        }
        #expect(G711.encodeMulaw(0) == AudioFormat.Encoding.mulaw.silenceByte)
        #expect(G711.encodeAlaw(0) == AudioFormat.Encoding.alaw.silenceByte)
    }

    @Test func decodedCodesEncodeToThemselves() {
        for code in G711Tests.codes {
            #expect(G711.encodeAlaw(G711.decodeAlaw(code)) == code)
            #expect(G711.encodeMulaw(G711.decodeMulaw(code)) == (code == 0x7F ? 0xFF : code))
        }
    }

    @Test func blocksAreSingleValuesAtEveryLength() {
        var generator = SeededGenerator(seed: 711)
        for count in 0...67 {
            let samples = (0..<count).map { _ in Int16.random(in: .min ... .max, using: &generator) }
            let codes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(encoded(samples, room: count, G711.encodeMulaw) == samples.map { G711.encodeMulaw($0) })
            #expect(encoded(samples, room: count, G711.encodeAlaw) == samples.map { G711.encodeAlaw($0) })
            #expect(decoded(codes, room: count, G711.decodeMulaw) == codes.map { G711.decodeMulaw($0) })
            #expect(decoded(codes, room: count, G711.decodeAlaw) == codes.map { G711.decodeAlaw($0) })
        }
    }

    @Test func blocksAreGivenInAllTheirValues() {
        let all = G711Tests.samples
        #expect(encoded(all, room: all.count, G711.encodeMulaw) == all.map { G711.encodeMulaw($0) })
        #expect(encoded(all, room: all.count, G711.encodeAlaw) == all.map { G711.encodeAlaw($0) })
    }

    @Test(arguments: [(0, 5), (5, 0), (3, 8), (8, 3), (0, 0)])
    func theSmallerCountDecides(input: Int, room: Int) {
        let samples = [Int16](repeating: 1000, count: input)
        let codes = [UInt8](repeating: 0x42, count: input)
        let expected = min(input, room)
        #expect(encoded(samples, room: room, G711.encodeMulaw).count == expected)
        #expect(encoded(samples, room: room, G711.encodeAlaw).count == expected)
        #expect(decoded(codes, room: room, G711.decodeMulaw).count == expected)
        #expect(decoded(codes, room: room, G711.decodeAlaw).count == expected)
    }

    private func encoded(
        _ samples: [Int16], room: Int, _ encode: (UnsafeBufferPointer<Int16>, UnsafeMutableRawBufferPointer) -> Int
    ) -> [UInt8] {
        var codes = [UInt8](repeating: 0xEE, count: room)
        let count = samples.withUnsafeBufferPointer { samples in codes.withUnsafeMutableBytes { encode(samples, $0) } }
        return Array(codes.prefix(count))
    }

    private func decoded(
        _ codes: [UInt8], room: Int, _ decode: (UnsafeRawBufferPointer, UnsafeMutableBufferPointer<Int16>) -> Int
    ) -> [Int16] {
        var samples = [Int16](repeating: 0, count: room)
        let count = codes.withUnsafeBytes { codes in samples.withUnsafeMutableBufferPointer { decode(codes, $0) } }
        return Array(samples.prefix(count))
    }
}
