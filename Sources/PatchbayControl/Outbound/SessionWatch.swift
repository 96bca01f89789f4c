import Foundation
import Logging
import PatchbayCore
import PatchbayStore
import Synchronization

/// Brings what happens in a dialled call into its session: the conversation's name, the words of both sides, how it failed.
///
/// On the media loop it only puts things into a bounded queue; a task of its own writes them.
final class SessionWatch: CallObserver {
    /// Things that wait to be written; more are left out.
    static let queueLimit = 1024
    /// Turns that are kept, and characters of each.
    static let turnLimit = 1000
    static let textLimit = 4000

    private enum Note: Sendable {
        case conversation(String)
        case said(Turn)
        case ended(EndReason)
    }

    /// As `/sessions/{id}` shows it.
    private struct Turn: Codable, Sendable {
        var speaker, text: String
        /// Since the beginning of its stream.
        var atMs: Int64
    }

    private let notes: AsyncStream<Note>.Continuation
    private let begin = Mutex<MediaTime?>(nil)

    /// - Parameter clock: For the time of changes.
    init(
        _ id: String, records: any VoiceSessionRecords, logger: Logger, clock: @escaping @Sendable () -> Date
    ) {
        let (stream, notes) = AsyncStream<Note>.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
        self.notes = notes
        Task {
            var turns: [Turn] = []
            var end: EndReason?
            for await note in stream {
                switch note {
                case .said(let turn): if turns.count < Self.turnLimit { turns.append(turn) }
                case .ended(let reason): end = reason
                case .conversation(let name):
                    do throws(StoreError) {
                        _ = try await records.updateSession(id) { $0.conversationID = name }
                    } catch {
                        Self.tell(error, id, logger)
                    }
                }
            }
            let said = turns
            let failure = end.flatMap { $0.isFailure ? $0.description : nil }
            guard !said.isEmpty || failure != nil else { return }
            let now = clock()
            do throws(StoreError) {
                _ = try await records.updateSession(id) { session in
                    // The vendor's own transcript is better. It comes with the extracted data, and may be there already.
                    if session.extractedData == nil {
                        session.transcript = Self.transcript(session.transcript, with: said)
                    }
                    if session.failure == nil { session.failure = failure }
                    session.updatedAt = now
                }
            } catch {
                Self.tell(error, id, logger)
            }
        }
    }

    deinit { notes.finish() }

    private static func tell(_ error: StoreError, _ id: String, _ logger: Logger) {
        logger.warning("a session could not be written", metadata: ["session": "\(id)", "error": "\(error)"])
    }

    /// What was said behind what is known: a call whose stream broke goes on in another.
    private static func transcript(_ known: String?, with turns: [Turn]) -> String? {
        guard !turns.isEmpty else { return known }
        var all = turns
        if let known {
            guard let before = try? JSONDecoder().decode([Turn].self, from: Data(known.utf8)) else { return known }
            all = Array((before + turns).prefix(turnLimit))
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(all)).map { String(decoding: $0, as: UTF8.self) } ?? known
    }

    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {
        guard joint.index == 0, case .text(let text) = frame, text.isFinal else { return }
        let since = begin.withLock { $0 } ?? time
        notes.yield(
            .said(
                Turn(
                    speaker: text.speaker.rawValue, text: String(text.text.prefix(Self.textLimit)),
                    atMs: max(0, (time - since).milliseconds))))
    }

    func observe(_ event: CallEvent, time: MediaTime) {
        switch event {
        case .streamStarted: begin.withLock { $0 = time }
        case .conversationStarted(let name): notes.yield(.conversation(name))
        case .ended(let reason):
            notes.yield(.ended(reason))
            notes.finish()
        default: break
        }
    }
}
