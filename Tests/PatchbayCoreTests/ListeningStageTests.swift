import NIOCore
import PatchbayAudio
import PatchbayTesting
import Testing

@testable import PatchbayCore

@Suite("Listening beside a chain")
struct ListeningStageTests {
    /// Marks loud audio, changes what it hands on (which nobody must hear), and answers a key upstream.
    struct Listener: Processor {
        var formats: [AudioFormat] = []
        var marksSpeech: Bool { true }

        mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
            switch frame {
            case .audio(var audio):
                guard audio.format == .pcm(16_000) else {
                    throw PipelineError(.unsupportedFormat, "was given \(audio.format)")
                }
                var samples = audio.payload
                while let sample = samples.readInteger(endianness: .little, as: Int16.self) {
                    guard abs(Int(sample)) > 10_000 else { continue }
                    output.emit(.speechStarted)
                    break
                }
                audio.payload = ByteBuffer()
                output.emit(.audio(audio))
            case .dtmf:
                output.emitUpstream(.interruptible(false))
                output.emit(frame)
            default: output.emit(frame)
            }
        }
    }

    @Test("The audio passes byte for byte, findings come out in front of it")
    func passes() throws {
        var stage = ProcessorHarness(try ListeningStage(Listener(), hearing: .pcm(16_000), of: .telephony))
        #expect(stage.processor.marksSpeech && stage.processor.delay == .zero)
        let loud = ByteBuffer(bytes: (0..<160).map { UInt8(truncatingIfNeeded: $0 * 7) })
        let frames = try stage.push(.audio(AudioFrame(loud, format: .telephony, generation: 3)))
        #expect(frames.count == 2)
        guard case .speechStarted? = frames.first, case .audio(let audio)? = frames.last else {
            Issue.record("got \(frames)")
            return
        }
        #expect(audio.payload == loud && audio.format == .telephony && audio.generation == 3)
        // What the resampler still held of it has come out with the first silent packet.
        _ = try stage.push(.audio(AudioFrame(ByteBuffer(repeating: 0xFF, count: 160), format: .telephony)))
        let silence = try stage.push(.audio(AudioFrame(ByteBuffer(repeating: 0xFF, count: 160), format: .telephony)))
        #expect(silence.count == 1)
    }

    /// Gives its results later.
    struct Late: Processor {
        let door: Patient.Door
        mutating func attach(_ mailbox: StageMailbox) { door.open(mailbox) }
        mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) {}
    }

    @Test("What comes later holds no copy of the audio, and errors come through")
    func late() throws {
        let door = Patient.Door(), notes = Notes()
        var stage = try ListeningStage(Late(door: door), hearing: .pcm(16_000), of: .telephony)
        stage.attach(
            StageMailbox { frames in
                for frame in frames { if case .audio = frame { notes.add("audio") } else { notes.add("finding") } }
            } fail: {
                notes.add("\($0.message)")
            })
        let copy = Frame.audio(AudioFrame(ByteBuffer(repeating: 0, count: 640), format: .pcm(16_000)))
        door.deliver([copy])
        door.deliver([.speechStarted, copy])
        door.fail(PipelineError(.stageFailed, "gone"))
        #expect(notes.lines == ["finding", "gone"])
    }

    @Test("Other frames go through the listener, and so do its requests")
    func others() throws {
        var stage = ProcessorHarness(try ListeningStage(Listener(), hearing: .pcm(16_000), of: .telephony))
        #expect(try stage.push(.dtmf("5")).count == 1)
        #expect(stage.takeUpstream().count == 1)
        #expect(try stage.push(.utteranceEnded(generation: 1)).count == 1)
        #expect(try stage.push(.audio(AudioFrame(ByteBuffer(), format: .telephony))).count == 1)
    }
}
