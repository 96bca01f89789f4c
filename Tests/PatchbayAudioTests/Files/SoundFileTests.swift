import Glibc
import PatchbayAudio
import Testing

@Suite struct SoundFileTests {
    private func opus(_ samples: [Int16], rate: Int, channels: Int) throws -> [UInt8] {
        let collector = PageCollector()
        let writer = try OggOpusWriter(
            sampleRate: rate, channelCount: channels, options: OpusOptions(bitrate: 64_000, complexity: 1)
        ) { collector.pages.append(Array($0)) }
        try writer.append(samples)
        try writer.finish()
        return collector.bytes
    }

    @Test func whatIsInItDecides() throws {
        let sound = tone(440, amplitude: 8000, sampleRate: 16_000, count: 3200)
        let wav = try SoundFile(bytes: WAVFile(samples: sound, sampleRate: 16_000).bytes())
        #expect(wav.samples == sound && wav.format == .pcm(16_000) && wav.sampleFrameCount == 3200)
        let codes = sound.map { G711.encodeAlaw($0) }
        let alaw = try SoundFile(bytes: WAVFile(format: AudioFormat(.alaw, sampleRate: 8000), data: codes).bytes())
        #expect(alaw.samples == codes.map { G711.decodeAlaw($0) } && alaw.format == .pcm(8000))
        let opus = try SoundFile(bytes: opus(sound.flatMap { [$0, $0] }, rate: 16_000, channels: 2))
        #expect(opus.sampleFrameCount == 3200)
        #expect(opus.format == AudioFormat(.pcm16, sampleRate: 16_000, channelCount: 2))
    }

    @Test func filesOnDisk() throws {
        var template = Array("/tmp/patchbay-sound-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        let path = folder + "/a"
        defer {
            unlink(path)
            rmdir(folder)
        }
        let sound = tone(440, amplitude: 8000, sampleRate: 16_000, count: 3200)
        let writer = try OggOpusWriter(path: path, sampleRate: 16_000, options: OpusOptions(complexity: 1))
        try writer.append(sound)
        try writer.finish()
        #expect(try SoundFile(path: path).sampleFrameCount == 3200, "the name does not matter")
        #expect(try OggOpusFile(path: path, sampleRate: 8000).sampleFrameCount == 1600)
        let large = #expect(throws: OggOpusError.self) { try OggOpusFile(path: path, maximumBytes: 100) }
        #expect(large?.code == .tooLarge && large?.path == path)
        try WAVFile(samples: sound, sampleRate: 16_000).write(to: path)
        #expect(try SoundFile(path: path).samples == sound)
        let wrong = #expect(throws: OggOpusError.self) { try OggOpusFile(path: path) }
        #expect(wrong?.code == .notOggOpus && wrong?.description.hasPrefix(path + ": not-ogg-opus: ") == true)
    }

    @Test func whatCannotBeReadIsSaid() {
        var error = #expect(throws: SoundFileError.self) { try SoundFile(bytes: Array("hello".utf8)) }
        guard case .wav(let wav) = error, wav.code == .notWAV else {
            Issue.record("\(error.map { "\($0)" } ?? "")")
            return
        }
        error = #expect(throws: SoundFileError.self) { try SoundFile(bytes: Array("OggS".utf8)) }
        guard case .oggOpus(let ogg) = error, ogg.code == .truncated else {
            Issue.record("\(error.map { "\($0)" } ?? "")")
            return
        }
        error = #expect(throws: SoundFileError.self) { try SoundFile(path: "/nowhere/a.wav") }
        #expect(error?.description.hasPrefix("/nowhere/a.wav: cannot open the file") == true)
        error = #expect(throws: SoundFileError.self) { try SoundFile(path: "/dev/zero", maximumBytes: 100_000) }
        #expect(error?.description.contains("larger than the 100000 bytes") == true)
    }
}
