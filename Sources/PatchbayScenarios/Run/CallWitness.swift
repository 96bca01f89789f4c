import PatchbayCore
import Synchronization

/// Collects what happens inside a call until its driver takes it over.
final class CallWitness: CallObserver {
    enum Sight: Sendable {
        case event(CallEvent)
        case text(TextFrame)
    }

    private let sights = Mutex<[(time: MediaTime, sight: Sight)]>([])

    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {
        guard joint == Joint(.toCaller, 0), case .text(let text) = frame, text.isFinal, !text.isCorrection else {
            return
        }
        sights.withLock { $0.append((time, .text(text))) }
    }

    func observe(_ event: CallEvent, time: MediaTime) { sights.withLock { $0.append((time, .event(event))) } }

    func take() -> [(time: MediaTime, sight: Sight)] {
        sights.withLock { sights in
            guard !sights.isEmpty else { return [] }
            defer { sights.removeAll(keepingCapacity: true) }
            return sights
        }
    }
}
