import Patchbay

/// `roomkeys`: gathers the digits that a guest types into a room number.
struct RoomKeys: StageComponent {
    let spec = ComponentSpec("roomkeys", .stage, summary: "Gathers the digits that a guest types into a room number.") {
        Field("digits", .integer(1...6), default: 4, "Digits of the longest number; a shorter one ends with #.")
        Field("patienceMs", .integer(500...30_000), default: 4000, "Longest pause between two keys, in milliseconds.")
    }

    func output(for input: AudioFormat, settings: Settings) -> AudioFormat { input }

    func makeProcessor(taking input: AudioFormat, settings: Settings) -> any Processor {
        RoomKeysStage(
            digits: settings.integer("digits") ?? 4,
            patience: .milliseconds(Int64(settings.integer("patienceMs") ?? 4000)))
    }
}

/// What the stage tells those behind it. A system frame: no interruption loses a room.
struct RoomTyped: CustomFrame {
    let room: String
    let family = Frame.Family.system
    let isDroppedByInterruption = false
    let generation: UInt32? = nil
}

struct RoomKeysStage: Processor {
    let digits: Int
    let patience: TimeSpan
    private(set) var deadline: MediaTime?
    private var typed = ""

    init(digits: Int, patience: TimeSpan) {
        self.digits = digits
        self.patience = patience
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) {
        output.emit(frame)
        guard case .dtmf(let key) = frame else { return }
        if key.isNumber {
            typed.append(key)
            deadline = now + patience
        }
        if key == "*" { typed = "" }
        if key == "#" || typed.count == digits { finish(into: &output) }
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout FrameOutput) { finish(into: &output) }

    private mutating func finish(into output: inout FrameOutput) {
        deadline = nil
        guard !typed.isEmpty else { return }
        output.emit(.custom(RoomTyped(room: typed)))
        typed = ""
    }
}
