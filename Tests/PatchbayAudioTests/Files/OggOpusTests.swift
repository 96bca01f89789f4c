import Glibc
import PatchbayAudio
import Testing

/// Collects what a writer gives out, page by page.
final class PageCollector {
    var pages: [[UInt8]] = []
    var bytes: [UInt8] { pages.flatMap { $0 } }
}

@Suite struct OggOpusTests {
    private func written(
        _ samples: [Int16], rate: Int = 16_000, channels: Int = 1, milliseconds: Double = 20, piece: Int = 317,
        finishing: Bool = true, comments: [String] = []
    ) throws -> PageCollector {
        let collector = PageCollector()
        let writer = try OggOpusWriter(
            sampleRate: rate, channelCount: channels, packetMilliseconds: milliseconds,
            options: OpusOptions(bitrate: 48_000, complexity: 1), comments: comments, serialNumber: 7
        ) { bytes in collector.pages.append(Array(bytes)) }
        for start in stride(from: 0, to: samples.count, by: piece * channels) {
            try writer.append(Array(samples[start..<min(start + piece * channels, samples.count)]))
        }
        if finishing {
            try writer.finish()
            try writer.finish()
            try writer.append([1, 2])
        }
        #expect(writer.byteCount == collector.bytes.count && writer.sampleFrameCount == samples.count / channels)
        return collector
    }

    /// The granule position that a page notes.
    private func position(_ page: [UInt8]) -> Int { (0..<8).reduce(0) { $0 | Int(page[6 + $1]) << (8 * $1) } }

    @Test(arguments: [
        (8000, 1, 20.0, 4001), (12_000, 1, 20, 3000), (16_000, 1, 2.5, 3333), (16_000, 2, 60, 5000), (24_000, 1, 10, 1),
        (48_000, 2, 20, 9999), (48_000, 1, 40, 960),
    ])
    func theSoundComesBackToTheSample(rate: Int, channels: Int, milliseconds: Double, frames: Int) throws {
        let mono = tone(500, amplitude: 8000, sampleRate: rate, count: frames)
        let sound = channels == 1 ? mono : mono.flatMap { [$0, $0] }
        let file = try OggOpusFile(
            bytes: written(sound, rate: rate, channels: channels, milliseconds: milliseconds).bytes)
        #expect(file.sampleFrameCount == frames && file.sampleRate == rate && file.channelCount == channels)
        #expect(file.inputSampleRate == rate && file.isComplete && file.concealedPacketCount == 0)
        #expect(file.vendor == "Patchbay")
        if frames > rate / 10 {
            let heard = stride(from: 0, to: file.samples.count, by: channels).map { file.samples[$0] }
            #expect(
                lag(
                    of: Array(heard.dropFirst(rate / 20)), behind: Array(mono.dropFirst(rate / 20)),
                    within: 0...(rate / 1000)) ?? 9 <= 1)
            #expect(abs(amplitude(of: 500, in: heard[(rate / 20)...], sampleRate: rate) - 8000) < 1600)
        }
    }

    @Test func everyPageIsASecondAndNotesItsEnd() throws {
        let pages = try written(tone(300, amplitude: 5000, sampleRate: 16_000, count: 16_000 * 5 / 2 + 5)).pages
        #expect(pages.map(position) == [0, 0, 48_000, 96_000, (40_005 + 104) * 3])
        #expect(pages.map { $0[5] } == [2, 0, 0, 0, 4], "beginning and end of the stream are marked")
        #expect(Array(pages[0][28...]) == Array("OpusHead".utf8) + [1, 1, 56, 1, 0x80, 0x3E, 0, 0, 0, 0, 0])
        let long = try written(tone(300, amplitude: 5000, sampleRate: 16_000, count: 40_000), milliseconds: 60).pages
        #expect(long.map(position) == [0, 0, 16 * 2880, 32 * 2880, 120_312], "60 ms do not divide a second")
        let short = try written(tone(300, amplitude: 5000, sampleRate: 16_000, count: 20_000), milliseconds: 2.5).pages
        #expect(short.map(position) == [0, 0, 255 * 120, 48_000, 60_312], "a page has at most 255 packets")
    }

    @Test func anEmptyRecordingIsAFileWithoutSound() throws {
        let file = try OggOpusFile(bytes: written([]).bytes)
        #expect(file.samples.isEmpty && file.isComplete)
    }

    @Test func aCrashLosesNoMoreThanTheLastSecond() throws {
        let sound = tone(500, amplitude: 8000, sampleRate: 16_000, count: 16_000 * 2 + 8000)
        let pages = try written(sound, finishing: false).pages
        let file = try OggOpusFile(bytes: pages.flatMap { $0 })
        #expect(!file.isComplete && file.sampleFrameCount == 32_000 - 104)
        let cut = try OggOpusFile(bytes: Array(pages.flatMap { $0 }.dropLast(20)))
        #expect(!cut.isComplete && cut.sampleFrameCount == 16_000 - 104, "half a page is as good as none")
    }

    @Test func commentsAndGain() throws {
        let sound = tone(500, amplitude: 4000, sampleRate: 16_000, count: 4000)
        let collector = try written(sound, comments: ["TITLE=Anruf aus Köln", "CALL=CA1"])
        let plain = try OggOpusFile(bytes: collector.bytes)
        #expect(plain.comments == ["TITLE=Anruf aus Köln", "CALL=CA1"])
        // 6.02 dB in steps of 1/256.
        var head = collector.pages[0]
        head[28 + 16] = 0x05
        head[28 + 17] = 0x06
        let louder = try OggOpusFile(bytes: Ogg.checked(head) + collector.pages.dropFirst().flatMap { $0 })
        let ratio =
            amplitude(of: 500, in: louder.samples[1000...], sampleRate: 16_000)
            / amplitude(of: 500, in: plain.samples[1000...], sampleRate: 16_000)
        #expect(abs(ratio - 2) < 0.01)
    }

    @Test func anyRateCanBeAskedFor() throws {
        let bytes = try written(tone(500, amplitude: 8000, sampleRate: 16_000, count: 8000)).bytes
        let file = try OggOpusFile(bytes: bytes, sampleRate: 48_000)
        #expect(file.sampleRate == 48_000 && file.inputSampleRate == 16_000 && file.sampleFrameCount == 24_000)
        #expect(amplitude(of: 500, in: file.samples[6000...], sampleRate: 48_000) > 6000)
        let error = #expect(throws: OggOpusError.self) { try OggOpusFile(bytes: bytes, sampleRate: 44_100) }
        #expect(error?.code == .unsupportedLayout)
    }

    @Test func senselessPacketsAreConcealedAndCounted() throws {
        let pages = try written(tone(500, amplitude: 8000, sampleRate: 16_000, count: 8000)).pages
        var last = pages[2]
        // The body begins behind the segment table; the first packet's code byte promises frames that are not there.
        last[27 + Int(last[26])] = 0x03
        last[27 + Int(last[26]) + 1] = 0x00
        let file = try OggOpusFile(bytes: pages[0] + pages[1] + Ogg.checked(last))
        #expect(file.concealedPacketCount == 1 && file.sampleFrameCount == 8000)
        #expect(amplitude(of: 500, in: file.samples[4000...], sampleRate: 16_000) > 6000)
    }

    @Test func aStreamJoinedInTheMiddleKeepsItsLength() throws {
        let sound = tone(500, amplitude: 8000, sampleRate: 16_000, count: 36_000)
        let pages = try written(sound).pages
        let shifted = pages.enumerated().map { index, page in
            index < 2 ? page : Ogg.checked(Ogg.moved(page, by: 1_000_000))
        }
        let file = try OggOpusFile(bytes: shifted.flatMap { $0 })
        #expect(file.sampleFrameCount == 36_000)
    }

    @Test func otherStreamsBesideAreIgnoredAndAfterAreNot() throws {
        let pages = try written(tone(500, amplitude: 8000, sampleRate: 16_000, count: 20_000)).pages
        let other = pages.map { page in
            var page = page
            page[14] = 99
            return Ogg.checked(page)
        }
        let mixed = pages[0] + other[0] + pages[1] + other[1] + pages[2] + other[2] + pages[3] + other[3]
        #expect(try OggOpusFile(bytes: mixed).sampleFrameCount == 20_000)
        let error = #expect(throws: OggOpusError.self) {
            try OggOpusFile(bytes: pages.flatMap { $0 } + other.flatMap { $0 })
        }
        #expect(error?.code == .unsupportedLayout)
    }

    @Test func otherStreamsThatBeginFirstArePassedOver() throws {
        let pages = try written(tone(500, amplitude: 8000, sampleRate: 16_000, count: 20_000)).pages
        var skeleton = pages[0]
        skeleton.replaceSubrange(28..<36, with: Array("fishead\u{0}".utf8))
        skeleton[14] = 99
        skeleton = Ogg.checked(skeleton)
        #expect(try OggOpusFile(bytes: skeleton + pages.flatMap { $0 }).sampleFrameCount == 20_000)
        let error = #expect(throws: OggOpusError.self) { try OggOpusFile(bytes: skeleton) }
        #expect(error?.code == .truncated)
    }

    /// A first page of sound that is also the last and claims to end after the end of time.
    @Test(arguments: [(48_000, 2), (48_000, 1), (8000, 2)])
    func aLastPositionBeyondTheSoundKeepsAllOfIt(rate: Int, channels: Int) throws {
        let sound = tone(500, amplitude: 8000, sampleRate: rate, count: rate / 10 * channels)
        let pages = try written(sound, rate: rate, channels: channels).pages
        try #require(pages.count == 3)
        for position in [Int.max, Int.max - 1, 1 << 62] {
            let moved = Ogg.checked(Ogg.moved(pages[2], by: position - self.position(pages[2])))
            let file = try OggOpusFile(bytes: pages[0] + pages[1] + moved)
            #expect(file.sampleFrameCount >= rate / 10 && file.sampleFrameCount < rate / 10 + rate / 25)
        }
    }

    @Test func damageIsNamedWithItsPlace() throws {
        let pages = try written(tone(500, amplitude: 8000, sampleRate: 16_000, count: 40_000), comments: ["A=1"]).pages
        func bytes(_ change: (inout [[UInt8]]) -> Void) -> [UInt8] {
            var copy = pages
            change(&copy)
            return copy.flatMap { $0 }
        }
        let heads = pages[0].count + pages[1].count
        let cases: [(String, [UInt8], OggOpusError.Code, Int)] = [
            ("empty", [], .notOggOpus, 0),
            ("text", Array("hello".utf8), .notOggOpus, 0),
            ("only the mark", Array("OggS".utf8), .truncated, 4),
            ("one header", pages[0], .truncated, pages[0].count),
            ("a bit", bytes { $0[2][100] ^= 1 }, .corruptPage, heads),
            ("page missing", bytes { $0.remove(at: 3) }, .corruptPage, heads + pages[2].count),
            ("headless", bytes { $0.removeFirst() }, .notOggOpus, 0),
            (
                "vorbis",
                bytes {
                    $0[0][28] = 1; $0[0] = Ogg.checked($0[0])
                }, .notOggOpus, 0
            ),
            (
                "version",
                bytes {
                    $0[0][36] = 16; $0[0] = Ogg.checked($0[0])
                }, .invalidHeader, 0
            ),
            (
                "surround",
                bytes {
                    $0[0][37] = 6; $0[0] = Ogg.checked($0[0])
                }, .unsupportedLayout, 0
            ),
            (
                "no channel",
                bytes {
                    $0[0][37] = 0; $0[0] = Ogg.checked($0[0])
                }, .unsupportedLayout, 0
            ),
            (
                "mapping",
                bytes {
                    $0[0][46] = 1; $0[0] = Ogg.checked($0[0])
                }, .unsupportedLayout, 0
            ),
            (
                "short head", Ogg.checked(Array(pages[0][..<26]) + [1, 8] + "OpusHead".utf8) + pages[1], .invalidHeader,
                0
            ),
            (
                "no tags",
                bytes {
                    $0[1][28] = 1; $0[1] = Ogg.checked($0[1])
                }, .invalidHeader, pages[0].count
            ),
            (
                "vendor",
                bytes {
                    $0[1][39] = 255; $0[1] = Ogg.checked($0[1])
                }, .invalidHeader, pages[0].count
            ),
            (
                "comments",
                bytes {
                    $0[1][50] = 255; $0[1] = Ogg.checked($0[1])
                }, .invalidHeader, pages[0].count
            ),
        ]
        for (name, bytes, code, offset) in cases {
            let error = #expect(throws: OggOpusError.self, "\(name)") { try OggOpusFile(bytes: bytes) }
            #expect(error?.code == code && error?.offset == offset, "\(name): \(error.map { "\($0)" } ?? "")")
        }
        let long = #expect(throws: OggOpusError.self) {
            try OggOpusFile(bytes: pages.flatMap { $0 }, maximumSamples: 9999)
        }
        #expect(long?.code == .tooLarge)
    }

    @Test(arguments: [(8000, 1), (48_000, 2)])
    func damagedFilesAreReadOrRefusedButNeverTrap(rate: Int, channels: Int) throws {
        let seed: UInt64 = 7845
        var generator = SeededGenerator(seed: seed)
        let sound = tone(500, amplitude: 8000, sampleRate: rate, count: rate / 9 * channels)
        let pages = try written(sound, rate: rate, channels: channels).pages
        var read = 0
        for _ in 0..<300 {
            var copy = pages
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                let page = Int.random(in: 0..<3, using: &generator)
                let place = Int.random(in: 4..<min(80, copy[page].count), using: &generator)
                copy[page][place] =
                    [0, 1, 0x7F, 0x80, 0xFF, .random(in: 0...255, using: &generator)].randomElement(using: &generator)
                    ?? 0
                // Most damage is made to pass the checksum, or nothing behind it would be tried.
                if Int.random(in: 0..<8, using: &generator) > 0 { copy[page] = Ogg.checked(copy[page]) }
            }
            let bytes = Array(copy.flatMap { $0 }.dropLast(Int.random(in: 0...3, using: &generator)))
            if let file = try? OggOpusFile(bytes: bytes) {
                read += 1
                #expect(file.samples.count % file.channelCount == 0, "seed \(seed)")
            }
        }
        #expect(read > 30 && read < 290, "\(read) of 300 read: too mild or too wild to test anything, seed \(seed)")
    }

    @Test func afterATornPageNothingIsWritten() throws {
        let pages = PageCollector()
        let writer = try OggOpusWriter(sampleRate: 8000, options: OpusOptions(complexity: 1)) {
            bytes throws(OggOpusError) in
            guard pages.pages.count < 3 else {
                pages.pages.append(Array(bytes.prefix(20)))
                // Any error will do.
                _ = try OggOpusFile(bytes: [])
                return
            }
            pages.pages.append(Array(bytes))
        }
        let second = tone(500, amplitude: 8000, sampleRate: 8000, count: 8000)
        try writer.append(second)
        try writer.append(Array(second[..<400]))
        #expect(throws: OggOpusError.self) { try writer.append(second) }
        #expect(pages.pages.count == 4)
        try writer.append(second)
        try writer.finish()
        #expect(pages.pages.count == 4, "a page behind a torn one would make the file unreadable")
    }

    @Test func whatTheOutputThrowsComesOut() throws {
        let error = #expect(throws: OggOpusError.self) {
            let writer = try OggOpusWriter(path: "/dev/full", sampleRate: 16_000)
            try writer.finish()
        }
        #expect(error?.code == .unwritable && error?.path == "/dev/full")
        let none = #expect(throws: OggOpusError.self) { try OggOpusWriter(path: "/nowhere/a.opus", sampleRate: 16_000) }
        #expect(none?.code == .unwritable)
        let rate = #expect(throws: OggOpusError.self) { try OggOpusWriter(path: "/dev/null", sampleRate: 44_100) }
        #expect(rate?.code == .codecFailed)
    }
}

/// Pages changed by hand.
enum Ogg {
    /// With the checksum of RFC 3533, section 6, set right, bit by bit.
    static func checked(_ page: [UInt8]) -> [UInt8] {
        var page = page
        for index in 22..<26 { page[index] = 0 }
        var sum: UInt32 = 0
        for byte in page {
            sum ^= UInt32(byte) << 24
            for _ in 0..<8 { sum = sum & 0x8000_0000 != 0 ? sum << 1 ^ 0x04C1_1DB7 : sum << 1 }
        }
        for index in 0..<4 { page[22 + index] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(index))) }
        return page
    }

    /// With its granule position moved.
    static func moved(_ page: [UInt8], by distance: Int) -> [UInt8] {
        var page = page
        let position = (0..<8).reduce(0) { $0 | Int(page[6 + $1]) << (8 * $1) } + distance
        for index in 0..<8 { page[6 + index] = UInt8(truncatingIfNeeded: position >> (8 * index)) }
        return page
    }
}
