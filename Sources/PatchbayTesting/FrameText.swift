import NIOCore
import PatchbayAudio
import PatchbayCore

/// What a frame is, in one line: the same for two frames exactly when nothing tells them apart. Sound is told by its hash.
func exactText(of frame: Frame) -> String {
    switch frame {
    case .audio(let audio):
        "audio \(audio.format), \(audio.payload.readableBytes) bytes \(String(hash(audio.payload), radix: 16)), turn "
            + "\(audio.generation)\(audio.isBackground ? ", background" : "")"
    case .custom(let custom): "custom \(custom)"
    case .failure(let error): "failure \(error)"
    default: "\(frame)"
    }
}

/// The name of a frame's case.
func caseName(of frame: Frame) -> String {
    switch frame {
    case .callStarted: "callStarted"
    case .callEnded: "callEnded"
    case .interruption: "interruption"
    case .dtmf: "dtmf"
    case .speechStarted: "speechStarted"
    case .speechStopped: "speechStopped"
    case .speechPaused: "speechPaused"
    case .speechResumed: "speechResumed"
    case .userTurnStarted: "userTurnStarted"
    case .userTurnEnded: "userTurnEnded"
    case .agentStartedSpeaking: "agentStartedSpeaking"
    case .agentStoppedSpeaking: "agentStoppedSpeaking"
    case .heard: "heard"
    case .bargeIn: "bargeIn"
    case .interruptible: "interruptible"
    case .recording: "recording"
    case .failure: "failure"
    case .audio: "audio"
    case .text: "text"
    case .agentTurnStarted: "agentTurnStarted"
    case .utteranceEnded: "utteranceEnded"
    case .hangup: "hangup"
    case .custom(let custom): "custom (\(custom.family))"
    }
}

/// FNV-1a, 64 bits.
private func hash(_ bytes: ByteBuffer) -> UInt64 {
    bytes.readableBytesView.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): the same numbers for the same
/// seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
