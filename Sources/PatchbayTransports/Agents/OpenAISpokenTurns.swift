import PatchbayCore
import PatchbayWire

/// What the model has said and the caller may not have heard to its end, response by response and item by item: where to cut
/// the model's memory when the caller interrupts.
///
/// A response with sound is one turn of the call. Responses come faster than they are played, so several may wait.
struct OpenAISpokenTurns {
    /// What has to be sent for one item.
    enum Cut: Equatable {
        /// Only the first milliseconds were heard, which is this share of the item.
        case truncate(itemID: String, contentIndex: Int, audioEndMs: Int, share: Double)
        /// Nothing of it was heard.
        case delete(itemID: String)
    }

    private struct Item {
        var id: String
        var contentIndex: Int
        var byteCount: Int
    }

    private struct Turn {
        var responseID: String
        var items: [Item] = []
        /// The model has finished it.
        var isComplete = false
        /// Heard before the call took what follows for a new turn.
        var heard = TimeSpan.zero
    }

    /// Turns that are kept; the oldest are forgotten first.
    static let maximumTurns = 32
    /// Items of one turn that are kept.
    static let maximumItems = 64
    /// A turn counts as heard this much before its end.
    private static let tolerance = TimeSpan.milliseconds(100)

    var format: OpenAIRealtimeAudioFormat
    private var turns: [Turn] = []

    init(_ format: OpenAIRealtimeAudioFormat) { self.format = format }

    var isEmpty: Bool { turns.isEmpty }

    mutating func reset() { turns.removeAll(keepingCapacity: true) }

    /// - Returns: Whether the item is a new one.
    @discardableResult
    mutating func audioCame(_ place: OpenAIRealtimeServerEvent.Place, byteCount: Int) -> Bool {
        if turns.last?.responseID != place.responseID {
            if turns.count == Self.maximumTurns { turns.removeFirst() }
            turns.append(Turn(responseID: place.responseID))
        }
        let turn = turns.count - 1
        if let item = turns[turn].items.lastIndex(where: {
            $0.id == place.itemID && $0.contentIndex == place.contentIndex
        }) {
            turns[turn].items[item].byteCount += byteCount
            return false
        }
        guard turns[turn].items.count < Self.maximumItems else { return false }
        turns[turn].items.append(
            Item(id: place.itemID, contentIndex: place.contentIndex, byteCount: byteCount))
        return true
    }

    /// All of a response has come.
    ///
    /// - Returns: Whether it had sound.
    mutating func responseEnded(_ id: String) -> Bool {
        guard let index = turns.lastIndex(where: { $0.responseID == id }) else { return false }
        turns[index].isComplete = true
        if turns[index].heard > .zero, turns[index].heard + Self.tolerance >= duration(of: turns[index]) {
            turns.remove(at: index)
        }
        return true
    }

    /// What the call took for a turn has been heard to its end.
    mutating func heard(_ duration: TimeSpan) {
        guard let first = turns.first else { return }
        if first.isComplete {
            turns.removeFirst()
        } else {
            // The call saw an end where the model had not finished.
            turns[0].heard = first.heard + duration
        }
    }

    /// The caller interrupts after so much of the turn that is played; later turns were not heard at all.
    ///
    /// - Returns: What the model has to be told, in order. `audioEndMs` never exceeds what came of the item, which the API would
    ///   refuse (platform.openai.com/docs/api-reference/realtime-client-events/conversation/item/truncate).
    mutating func cut(heard duration: TimeSpan) -> [Cut] {
        var cuts: [Cut] = []
        for (index, turn) in turns.enumerated() {
            var rest = index == 0 ? Int((turn.heard + duration).milliseconds) : 0
            for item in turn.items {
                let length = format.milliseconds(byteCount: item.byteCount)
                let heard = min(max(0, rest), length)
                rest -= heard
                if heard == 0 {
                    cuts.append(.delete(itemID: item.id))
                } else if heard < length || !turn.isComplete {
                    cuts.append(
                        .truncate(
                            itemID: item.id, contentIndex: item.contentIndex, audioEndMs: heard,
                            share: Double(heard) / Double(max(1, length))))
                }
            }
        }
        reset()
        return cuts
    }

    private func duration(of turn: Turn) -> TimeSpan {
        .milliseconds(Int64(format.milliseconds(byteCount: turn.items.reduce(0) { $0 + $1.byteCount })))
    }
}
