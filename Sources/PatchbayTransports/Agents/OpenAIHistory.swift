import PatchbayCore
import PatchbayWire

/// What was said in a conversation, to be told again to a new session: the API has no way to resume one.
struct OpenAIHistory {
    private struct Entry {
        var itemID: String
        var role: OpenAIRealtimeItem.Role
        var text: String
    }

    /// Entries that are kept; the oldest are forgotten first.
    static let maximumEntries = 200
    /// Characters that are kept of one entry.
    static let maximumText = 8_000
    /// Characters that are told again, the newest first.
    static let maximumReplay = 64_000

    private var entries: [Entry] = []
    /// Numbers what has no item of its own.
    private var lastNumber = 0

    init(_ turns: [ConversationTurn] = []) {
        for turn in turns { append(turn.speaker == .agent ? .assistant : .user, turn.text) }
    }

    /// Something that has no item of its own in this session.
    mutating func append(_ role: OpenAIRealtimeItem.Role, _ text: String) {
        lastNumber += 1
        begin("own_\(lastNumber)", role)
        set("own_\(lastNumber)", text)
    }

    /// Keeps the place of an item whose words come later.
    mutating func begin(_ itemID: String, _ role: OpenAIRealtimeItem.Role) {
        guard !itemID.isEmpty, index(of: itemID) == nil else { return }
        if entries.count == Self.maximumEntries { entries.removeFirst() }
        entries.append(Entry(itemID: itemID, role: role, text: ""))
    }

    mutating func set(_ itemID: String, _ text: String) {
        guard let index = index(of: itemID) else { return }
        entries[index].text = String(text.prefix(Self.maximumText))
    }

    mutating func remove(_ itemID: String) { entries.removeAll { $0.itemID == itemID } }

    /// Keeps of an item what is said in this share of its sound, in whole words.
    ///
    /// - Returns: The words that are left.
    mutating func cut(_ itemID: String, to share: Double) -> String {
        guard let index = index(of: itemID) else { return "" }
        let text = entries[index].text
        let count = Int(Double(text.count) * min(1, max(0, share)))
        var kept = text.prefix(count)
        if kept.endIndex < text.endIndex, !text[kept.endIndex].isWhitespace {
            kept = kept.lastIndex(where: \.isWhitespace).map { kept[..<$0] } ?? ""
        }
        entries[index].text = String(kept)
        return entries[index].text
    }

    /// The words so far, oldest first; of more than ``maximumReplay`` characters the newest.
    var items: [OpenAIRealtimeItem] {
        var left = Self.maximumReplay
        var kept: [OpenAIRealtimeItem] = []
        for entry in entries.reversed() where !entry.text.isEmpty {
            left -= entry.text.count
            guard left >= 0 else { break }
            kept.append(.text(entry.role, entry.text))
        }
        return kept.reversed()
    }

    /// What is asked for is nearly always the newest.
    private func index(of itemID: String) -> Int? { entries.lastIndex { $0.itemID == itemID } }
}
