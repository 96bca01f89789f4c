import Patchbay
import Synchronization

/// Collects what was said in the demo, with its time in the call.
final class DemoTranscript: CallObserver {
    private let state = Mutex((start: MediaTime?.none, lines: [String]()))

    var lines: [String] { state.withLock { $0.lines } }

    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {
        guard joint == Joint(.toCaller, 0), case .text(let text) = frame, text.isFinal else { return }
        enter("\(text.speaker.rawValue): \(text.text)", time)
    }

    func observe(_ event: CallEvent, time: MediaTime) {
        switch event {
        case .streamStarted: state.withLock { $0.start = time }
        case .interrupted(let cause, let heard):
            enter(
                "(interruption: \(cause); \(heard.duration.milliseconds) ms of the answer were heard: \(heard.text)…)",
                time)
        case .ended(let reason): enter("(\(reason))", time)
        default: break
        }
    }

    private func enter(_ text: String, _ time: MediaTime) {
        state.withLock { state in
            // What is said while the phone rings is heard when the stream begins.
            let milliseconds = state.start.map { (time - $0).milliseconds } ?? 0
            let seconds = "\(milliseconds / 1000).\(String(milliseconds % 1000 + 1000).dropFirst().prefix(2))"
            state.lines.append(String(repeating: " ", count: max(0, 8 - seconds.count)) + "\(seconds) s  \(text)")
        }
    }
}
