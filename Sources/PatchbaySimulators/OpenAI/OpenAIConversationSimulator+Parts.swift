import NIOCore
import PatchbayCore
public import PatchbayWire

extension OpenAIConversationSimulator {
    /// One item of the conversation.
    struct Item: Sendable {
        var id: String
        var wire: OpenAIRealtimeItem
        /// Sound that was sent of it; `nil` when it has none.
        var audioMilliseconds: Int?
    }

    /// The response that is being made.
    struct Response: Sendable {
        var id: String
        var options: OpenAIRealtimeClientEvent.ResponseOptions
        var itemID = ""
        var utterance = ""
        var rest: ByteBuffer?
        var byteCount = 0
        var sentBytes = 0
        /// Characters of the words that were sent.
        var sentText = ""
        /// Its sound is being made.
        var isPreparing = false

        var place: OpenAIRealtimeServerEvent.Place { .init(responseID: id, itemID: itemID) }
    }

    /// What came and went in one session.
    public struct Statistics: SimulatedConversationStatistics {
        /// Entries of each list that are kept.
        static let maximumEntries = 1000

        /// As it was asked for.
        public var model: String
        public var messagesReceived = 0
        public var bytesReceived = 0
        public var close: SimulatedClose?
        /// After the last change.
        public var session: OpenAIRealtimeSession?
        /// Bytes of the caller's audio.
        public var callerAudioBytes = 0
        /// Bytes of the model's audio.
        public var audioBytes = 0
        public var userTurns = 0
        public var responses = 0
        public var cancelledResponses = 0
        /// Milliseconds of each truncation.
        public var truncations: [Int] = []
        /// Items that were deleted.
        public var deletions: [String] = []
        /// Words of messages that the client created.
        public var createdTexts: [String] = []
        public var functionOutputs: [String] = []
        /// Codes of errors that were reported.
        public var faults: [String] = []

        init(model: String) { self.model = model }

        mutating func count(_ event: OpenAIRealtimeClientEvent) {
            switch event {
            case .appendAudio(let byteCount): callerAudioBytes += byteCount
            case .createItem(let item, _):
                switch item.content {
                case .message: Self.keep(item.words ?? "", in: &createdTexts)
                case .functionCallOutput(_, let output): Self.keep(output, in: &functionOutputs)
                case .functionCall, .other: break
                }
            default: break
            }
        }

        mutating func note(_ fault: OpenAIRealtimeFault) { Self.keep(fault.code ?? fault.type, in: &faults) }

        private static func keep(_ text: String, in list: inout [String]) {
            if list.count < maximumEntries { list.append(text) }
        }
    }

    // MARK: Items

    mutating func create(
        _ item: OpenAIRealtimeItem, after previous: String?, into output: inout SimulatorOutput
    ) throws(OpenAIRealtimeFault) {
        if let id = item.id, items.contains(where: { $0.id == id }) {
            throw OpenAIRealtimeFault(
                code: "item_create_duplicate_item_id", message: "The item '\(id.prefix(100))' exists already.",
                param: "item.id")
        }
        var position = items.count
        if let previous, previous != "root" {
            guard let index = items.firstIndex(where: { $0.id == previous }) else {
                throw .unknownItem(previous, "create")
            }
            position = index + 1
        } else if previous == "root" {
            position = 0
        }
        if case .functionCallOutput(let callID, let text) = item.content {
            let isKnown = items.contains { entry in
                if case .functionCall(let call) = entry.wire.content { call.callID == callID } else { false }
            }
            guard isKnown else {
                throw OpenAIRealtimeFault(
                    code: "invalid_tool_call_id",
                    message: "Tool call ID '\(callID.prefix(100))' not found in conversation.",
                    param: "item.call_id")
            }
            unansweredOutputs.append(text)
        }
        var item = item
        item.status = "completed"
        add(item, at: position, into: &output)
    }

    /// Adds an item and tells of it.
    ///
    /// - Returns: Its id.
    @discardableResult
    mutating func add(
        _ item: OpenAIRealtimeItem, at position: Int? = nil, isDone: Bool = true, into output: inout SimulatorOutput
    ) -> String {
        let id = item.id ?? name("item")
        var item = item
        item.id = id
        let position = min(position ?? items.count, items.count)
        let previous = position > 0 ? items[position - 1].id : nil
        items.insert(Item(id: id, wire: item), at: position)
        if items.count > Self.maximumItems { items.removeFirst() }
        send(.itemAdded(item, previousItemID: previous), into: &output)
        if isDone { send(.itemDone(item, previousItemID: previous), into: &output) }
        return id
    }

    mutating func truncate(
        _ id: String, _ contentIndex: Int, _ end: Int, into output: inout SimulatorOutput
    ) throws(OpenAIRealtimeFault) {
        guard let index = items.firstIndex(where: { $0.id == id }) else { throw .unknownItem(id, "truncate") }
        guard let length = items[index].audioMilliseconds else {
            throw OpenAIRealtimeFault(
                code: "invalid_value", message: "Only model output audio messages can be truncated.", param: "item_id")
        }
        guard contentIndex == 0 else {
            throw OpenAIRealtimeFault(
                code: "invalid_value", message: "There is no content at \(contentIndex).", param: "content_index")
        }
        guard end <= length else {
            throw OpenAIRealtimeFault(
                code: "invalid_value", message: "Audio content of \(length)ms is already shorter than \(end)ms",
                param: "audio_end_ms")
        }
        items[index].audioMilliseconds = end
        items[index].wire.content = .message(.assistant, [.init(type: "output_audio")])
        record { $0.truncations.append(end) }
        send(.itemTruncated(id: id, contentIndex: contentIndex, audioEndMs: end), into: &output)
    }
}

extension OpenAIRealtimeFault {
    static func unknownItem(_ id: String, _ action: String) -> OpenAIRealtimeFault {
        OpenAIRealtimeFault(
            code: "item_\(action)_invalid_item_id",
            message: "Error \(action) item: the item with id '\(id.prefix(100))' does not exist.", param: "item_id")
    }
}
