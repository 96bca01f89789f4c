import PatchbayAudio
import Testing

@Suite struct OpusTests {
    private func format(_ rate: Int, channels: Int = 1, milliseconds: Double = 20) -> AudioFormat {
        AudioFormat(.opus, sampleRate: rate, channelCount: channels, packetMilliseconds: milliseconds)
    }

    static let layouts: [(Int, Int, Double)] = [
        (8000, 1, 20), (8000, 1, 60), (8000, 2, 20), (12_000, 1, 10), (16_000, 1, 2.5), (16_000, 1, 40), (16_000, 2, 5),
        (24_000, 1, 20), (48_000, 1, 10), (48_000, 2, 20),
    ]

    @Test(arguments: layouts)
    func aToneIsFoundAgain(rate: Int, channels: Int, milliseconds: Double) throws {
        let format = format(rate, channels: channels, milliseconds: milliseconds)
        let encoder = try OpusEncoder(format, options: OpusOptions(bitrate: 48_000, complexity: 2))
        let left = tone(440, amplitude: 8000, sampleRate: rate, count: rate * 3 / 10 + 17)
        let right = tone(1100, amplitude: 8000, sampleRate: rate, count: left.count)
        let sound = channels == 1 ? left : zip(left, right).flatMap { [$0, $1] }
        let payloads = try encoder.payloads(of: sound, piece: 331 * channels)
        let heard = try OpusDecoder(format).samples(payloads)
        let packet = format.sampleFramesPerPacket
        let packets = (left.count + encoder.lookahead + packet - 1) / packet
        #expect(payloads.count == packets && heard.count == packets * packet * channels)
        let first = stride(from: 0, to: heard.count, by: channels).map { heard[$0] }
        let body = first[(rate / 10)..<(rate * 3 / 10)]
        #expect(abs(amplitude(of: 440, in: body, sampleRate: rate) - 8000) < 1600)
        if channels == 2 {
            let second = stride(from: 1, to: heard.count, by: 2).map { heard[$0] }
            #expect(abs(amplitude(of: 1100, in: second[(rate / 10)...].dropLast(rate / 50), sampleRate: rate) - 8000) < 1600)
            #expect(amplitude(of: 1100, in: body, sampleRate: rate) < 800, "the channels stay apart")
        } else {
            #expect(amplitude(of: 1100, in: body, sampleRate: rate) < 400)
        }
    }

    @Test(arguments: [
        (16_000, OpusOptions.Application.voip, Int64(6_500_000)), (48_000, .audio, 6_500_000), (48_000, .lowDelay, 2_500_000),
        (8000, .voip, 6_500_000),
    ])
    func theLookaheadIsWhatIsReported(rate: Int, application: OpusOptions.Application, nanoseconds: Int64) throws {
        let format = format(rate)
        let encoder = try OpusEncoder(
            format, options: OpusOptions(application: application, bitrate: 96_000, complexity: 4))
        #expect(encoder.delayNanoseconds == nanoseconds)
        let seed: UInt64 = 65
        var generator = SeededGenerator(seed: seed)
        // Noise smoothed to the voice band has one sharp peak of likeness.
        let raw = noise(level: -12, sampleRate: rate, milliseconds: 160, using: &generator)
        let width = rate / 4000
        let sound = raw.indices.dropLast(width).map { index in
            Int16(raw[index..<index + width].reduce(0) { $0 + Int($1) } / width)
        }
        let heard = try OpusDecoder(format).samples(encoder.payloads(of: sound))
        let measured = try #require(lag(of: heard, behind: sound, within: 0...(rate / 80)))
        #expect(abs(measured - encoder.lookahead) <= rate / 8000, "\(measured), seed \(seed)")
    }

    @Test func theTailEndsTheUtteranceAndTheNextBeginsAnew() throws {
        let format = format(16_000)
        let encoder = try OpusEncoder(format, options: OpusOptions(complexity: 0))
        let sound = [Int16](repeating: 100, count: 320)
        #expect(try encoder.tail().isEmpty, "nothing is owed before the first sample")
        #expect(try encoder.payloads(of: sound, isEnding: false).count == 1)
        #expect(try encoder.tail().count == 1, "104 samples of look-ahead")
        #expect(try encoder.tail().isEmpty)
        #expect(try encoder.payloads(of: Array(sound.prefix(300)), isEnding: false).isEmpty)
        #expect(try encoder.tail().count == 2, "300 and 104 samples do not fit into one packet")
        #expect(try encoder.payloads(of: Array(sound.prefix(300)), isEnding: false).isEmpty)
        encoder.reset()
        #expect(try encoder.tail().isEmpty, "a reset drops what waits")
        #expect(try encoder.payloads(of: Array(sound.prefix(319)), isEnding: false).isEmpty)
        #expect(try encoder.payloads(of: [1], isEnding: false).count == 1)
        let short = try OpusEncoder(self.format(8000, milliseconds: 2.5), options: OpusOptions(complexity: 0))
        #expect(try short.payloads(of: [1]).count == 3, "6.5 ms and a sample are three packets of 2.5 ms")
    }

    @Test func bitrateDecidesTheSize() throws {
        let sound = voice(sampleRate: 16_000, milliseconds: 400)
        func size(_ bitrate: Int) throws -> Int {
            try OpusEncoder(format(16_000), options: OpusOptions(bitrate: bitrate, complexity: 3))
                .payloads(of: sound).reduce(0) { $0 + $1.count }
        }
        let (small, large) = (try size(8000), try size(32_000))
        #expect(small < 700 && large > 1000 && large < 2600, "8 kbit/s are 400 bytes, 32 are 1,600: \(small), \(large)")
    }

    @Test func silenceIsNearlyFreeWithDTX() throws {
        let sound = voice(sampleRate: 16_000, milliseconds: 200) + silence(sampleRate: 16_000, milliseconds: 600)
        func smallPackets(_ usesDTX: Bool) throws -> Int {
            try OpusEncoder(format(16_000), options: OpusOptions(bitrate: 16_000, complexity: 2, usesDTX: usesDTX))
                .payloads(of: sound).count { $0.count <= 2 }
        }
        let (with, without) = (try smallPackets(true), try smallPackets(false))
        #expect(with > 10 && without == 0, "\(with) of 40 packets, \(without) without")
    }

    /// One packet in the middle of a rising tone is lost: made from the next, it is the tone it was.
    @Test func aLostPacketComesBackFromTheNext() throws {
        let format = format(16_000)
        let sound =
            tone(500, amplitude: 8000, sampleRate: 16_000, count: 320 * 9)
            + tone(900, amplitude: 8000, sampleRate: 16_000, count: 320 * 3)
            + tone(500, amplitude: 8000, sampleRate: 16_000, count: 320 * 9)
        func packets(_ usesFEC: Bool) throws -> [[UInt8]] {
            try OpusEncoder(
                format,
                options: OpusOptions(
                    bitrate: 32_000, complexity: 4, usesFEC: usesFEC, expectedLossPercent: usesFEC ? 30 : 0)
            ).payloads(of: sound)
        }
        /// How loud 500 and 900 Hz are in what stands for packet 10, which was the first full one at 900 Hz.
        func heard(_ packets: [[UInt8]], recovering: Bool) throws -> (low: Double, high: Double) {
            let decoder = try OpusDecoder(format)
            _ = try decoder.samples(Array(packets[..<10]))
            var lost = [Int16](repeating: 0, count: 320)
            if recovering {
                let count = try packets[11].withUnsafeBytes { next in
                    try lost.withUnsafeMutableBufferPointer { try decoder.recover(sampleFrames: 320, from: next, into: $0) }
                }
                #expect(count == 320)
            } else {
                lost = decoder.concealed(320)
            }
            _ = try decoder.samples(packets[11])
            return (
                amplitude(of: 500, in: lost[...], sampleRate: 16_000), amplitude(of: 900, in: lost[...], sampleRate: 16_000)
            )
        }
        let recovered = try heard(packets(true), recovering: true)
        #expect(recovered.high > 4000 && recovered.high > 3 * recovered.low, "\(recovered)")
        let concealed = try heard(packets(true), recovering: false)
        #expect(concealed.low > concealed.high, "concealment goes on as before: \(concealed)")
        let without = try heard(packets(false), recovering: true)
        #expect(without.high < recovered.high / 2, "no copy, no recovery: \(without)")
    }

    @Test func aLossIsFilledAndFades() throws {
        let format = format(8000)
        let payloads = try OpusEncoder(format).payloads(of: tone(400, amplitude: 8000, sampleRate: 8000, count: 1600))
        let decoder = try OpusDecoder(format)
        _ = try decoder.samples(Array(payloads[..<9]))
        let first = decoder.concealed(160)
        #expect(first.count == 160 && amplitude(of: 400, in: first[...], sampleRate: 8000) > 2000)
        var last: [Int16] = []
        for _ in 0..<15 { last = decoder.concealed(160) }
        #expect(last.allSatisfy { abs(Int($0)) < 400 }, "nobody speaks for 300 ms through a dead line")
        #expect(decoder.concealed(100).count == 100 && decoder.concealed(99).count == 80, "steps of 2.5 ms")
        #expect(decoder.concealed(19).isEmpty && decoder.concealed(0).isEmpty)
        #expect(decoder.concealed(2000).count == 960, "120 ms at once")
        #expect(try decoder.samples(payloads[9]).count == 160, "and goes on with the next packet")
    }

    @Test func badPacketsAreErrorsAndTheDecoderGoesOn() throws {
        let format = format(16_000)
        let payloads = try OpusEncoder(format).payloads(of: tone(440, amplitude: 8000, sampleRate: 16_000, count: 6400))
        let decoder = try OpusDecoder(format)
        var heard: [Int16] = []
        // Code 3 of RFC 6716, section 3.2.5, with no frame, with 49 frames, and with frames longer than the packet; code 2
        // with a length beyond the end; code 1 with an odd number of bytes.
        let bad: [[UInt8]] = [[], [0x03], [0x03, 0x00], [0x03, 49], [0xFB, 0x83, 200, 200], [0x02, 250, 1], [0x01, 1, 2, 3]]
        for (index, payload) in payloads.enumerated() {
            if index % 2 == 1, index / 2 < bad.count {
                let error = #expect(throws: CodecError.self) { try decoder.samples(bad[index / 2]) }
                #expect(error?.code == .corruptPayload, "packet \(bad[index / 2])")
                heard += decoder.concealed(320)
            } else {
                heard += try decoder.samples(payload)
            }
        }
        #expect(amplitude(of: 440, in: heard[1600..<6400], sampleRate: 16_000) > 4000)
        let none = #expect(throws: CodecError.self) {
            var room = [Int16](repeating: 0, count: 320)
            _ = try room.withUnsafeMutableBufferPointer {
                try decoder.recover(sampleFrames: 320, from: UnsafeRawBufferPointer(start: nil, count: 0), into: $0)
            }
        }
        #expect(none?.code == .corruptPayload)
    }

    @Test func randomPacketsNeverTrap() throws {
        let seed: UInt64 = 6716
        var generator = SeededGenerator(seed: seed)
        let format = format(8000, channels: 2)
        let sound = voice(sampleRate: 8000, milliseconds: 400, channelCount: 2)
        let payloads = try OpusEncoder(format, options: OpusOptions(complexity: 0)).payloads(of: sound)
        let decoder = try OpusDecoder(format)
        var decoded = 0
        for _ in 0..<400 {
            var bytes = payloads.randomElement(using: &generator) ?? []
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: bytes = (0..<Int.random(in: 0...60, using: &generator)).map { _ in .random(in: 0...255, using: &generator) }
            case 1: bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
            default: bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            }
            do {
                let samples = try decoder.samples(bytes)
                #expect(samples.count % 40 == 0 && samples.count <= 1920, "seed \(seed)")
                decoded += 1
            } catch {
                #expect(error.code == .corruptPayload, "seed \(seed)")
            }
        }
        #expect(decoded > 50 && decoded < 399, "\(decoded) of 400: too mild or too wild to test anything, seed \(seed)")
    }

    @Test(arguments: [
        (OpusOptions(bitrate: 5999), 20.0), (OpusOptions(bitrate: 600_000), 20), (OpusOptions(complexity: 11), 20),
        (OpusOptions(complexity: -1), 20), (OpusOptions(expectedLossPercent: 101), 20), (OpusOptions(usesFEC: true), 5),
        (OpusOptions(application: .lowDelay, usesFEC: true), 20),
    ] as [(OpusOptions, Double)])
    func optionsThatDoNotExist(options: OpusOptions, milliseconds: Double) {
        let error = #expect(throws: CodecError.self) {
            try OpusEncoder(format(16_000, milliseconds: milliseconds), options: options)
        }
        #expect(error?.code == .invalidOption)
    }

    @Test(arguments: [0.0, 3, 30, 80, 120])
    func packetsThatAreNotMade(milliseconds: Double) throws {
        let error = #expect(throws: CodecError.self) { try OpusEncoder(format(16_000, milliseconds: milliseconds)) }
        #expect(error?.code == .unsupportedFormat)
        #expect(throws: Never.self) { try OpusDecoder(format(16_000, milliseconds: milliseconds)) }
    }
}
