import NIOCore
import PatchbayAudio
import PatchbayCore

/// A delay line of 5 ms at 8 kHz that does everything right, or one thing wrong.
struct BrokenProcessor: Processor {
    enum Fault: String, CaseIterable, Sendable {
        case nothing
        case swallowsInterruption, swallowsUtteranceEnded, swallowsHangup, swallowsCallEnded, swallowsCustom
        case swallowsText, doublesKeys, changesText, holdsSystemFrames, reordersText, reordersSound
        case keepsSoundAtInterruption, flushesAtInterruption, losesTail, losesHalf, tailBehindTheEnd, tailLater
        case doublesSound, wrongRate, halfSamples, losesStamp, spins, throwsOnNothing, throwsOnOldTurns
        case dependsOnPackets, hidesDelay, claimsDelay, remembersOthers
    }

    /// What all stages of one kind share, and should not.
    final class Shared {
        var count = 0
    }

    let fault: Fault
    let shared: Shared
    private var held = ByteBuffer()
    private var heldFrame: Frame?
    private(set) var deadline: MediaTime?
    private var turn: UInt32 = 0
    private let length = 80

    init(_ fault: Fault, _ shared: Shared) {
        self.fault = fault
        self.shared = shared
        shared.count += 1
    }

    var delay: TimeSpan {
        switch fault {
        case .hidesDelay: .zero
        case .claimsDelay: .milliseconds(9)
        default: .milliseconds(5)
        }
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        if let before = heldFrame, fault == .holdsSystemFrames {
            heldFrame = nil
            output.emit(before)
        }
        switch frame {
        case .audio(let audio):
            try hear(audio, into: &output)
        case .utteranceEnded(let generation):
            if fault == .tailBehindTheEnd { output.emit(frame) }
            if fault == .tailLater { deadline = now + .milliseconds(20) } else { flush(generation, into: &output) }
            if fault != .tailBehindTheEnd, fault != .swallowsUtteranceEnded { output.emit(frame) }
        case .interruption:
            if fault == .flushesAtInterruption { flush(turn, into: &output) }
            if fault != .keepsSoundAtInterruption { held.clear() }
            if fault != .swallowsInterruption { output.emit(frame) }
        case .callStarted:
            if fault == .spins { deadline = now }
            output.emit(frame)
        case .text(var text):
            if fault == .swallowsText { return }
            if fault == .changesText { text.text += "!" }
            guard fault == .reordersText else { return output.emit(.text(text)) }
            if let before = heldFrame {
                output.emit(frame)
                output.emit(before)
                heldFrame = nil
            } else {
                heldFrame = frame
            }
        case .speechStarted where fault == .holdsSystemFrames: heldFrame = frame
        case .hangup where fault == .swallowsHangup, .callEnded where fault == .swallowsCallEnded,
            .custom where fault == .swallowsCustom:
            break
        case .dtmf where fault == .doublesKeys:
            output.emit(frame)
            output.emit(frame)
        default: output.emit(frame)
        }
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        if fault == .spins { return }
        deadline = nil
        flush(turn, into: &output)
    }

    private mutating func hear(_ audio: AudioFrame, into output: inout FrameOutput) throws(PipelineError) {
        if fault == .throwsOnNothing, audio.payload.readableBytes == 0 {
            throw PipelineError(.stageFailed, "nothing to do")
        }
        if fault == .throwsOnOldTurns, audio.generation < turn { throw PipelineError(.stageFailed, "too late") }
        turn = max(turn, audio.generation)
        held.writeImmutableBuffer(audio.payload)
        guard held.readableBytes > length, var sound = held.readSlice(length: held.readableBytes - length) else {
            return
        }
        if fault == .dependsOnPackets { sound.setInteger(UInt16(0), at: sound.readerIndex) }
        if fault == .remembersOthers { sound.setInteger(UInt16(shared.count), at: sound.readerIndex) }
        var format = audio.format
        if fault == .wrongRate { format.sampleRate = 16000 }
        if fault == .halfSamples { sound.moveReaderIndex(forwardBy: 1) }
        let frame = Frame.audio(
            AudioFrame(sound, format: format, generation: fault == .losesStamp ? 0 : audio.generation))
        if fault == .reordersSound {
            if let before = heldFrame {
                output.emit(frame)
                output.emit(before)
                heldFrame = nil
            } else {
                heldFrame = frame
            }
            return
        }
        output.emit(frame)
        if fault == .doublesSound { output.emit(frame) }
    }

    private mutating func flush(_ generation: UInt32, into output: inout FrameOutput) {
        defer { held.clear() }
        guard held.readableBytes > 0, fault != .losesTail else { return }
        if fault == .losesHalf { held.moveReaderIndex(forwardBy: held.readableBytes / 4 * 2) }
        output.emit(.audio(AudioFrame(held, format: .pcm(8000), generation: generation)))
    }
}
