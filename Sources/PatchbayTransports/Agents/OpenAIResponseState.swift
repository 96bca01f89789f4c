import NIOCore
import PatchbayCore
import PatchbayWire

/// Where the making of answers stands.
struct OpenAIResponseState {
    /// Names of cut responses that are remembered: their last events may come late.
    static let maximumCut = 16

    /// The answer that is being made.
    private(set) var activeID: String?
    /// One has been asked for and has not begun.
    var isRequested = false
    /// Another is to be asked for when this one is finished.
    var isWanted = false
    /// The caller has finished, and the server answers by itself.
    var expectsAnswer = false
    /// The one that was asked for is not wanted any more.
    var cutsNext = false
    /// Whether the caller's turn that begins now is an interruption.
    var wasJustCut = false
    /// Failed ones in a row.
    var failures = 0
    private var cutIDs: [String] = []

    var isActive: Bool { activeID != nil }
    /// Whether something has to come from the server.
    var isBusy: Bool { isActive || isRequested || expectsAnswer }

    mutating func created(_ id: String) {
        activeID = id
        isRequested = false
        expectsAnswer = false
        wasJustCut = false
    }

    /// The server makes one at a time, so whichever is finished was the active one.
    mutating func done() {
        if activeID == nil { isRequested = false }
        activeID = nil
    }

    mutating func cut(_ id: String) {
        guard !id.isEmpty, !isCut(id) else { return }
        if cutIDs.count == Self.maximumCut { cutIDs.removeFirst() }
        cutIDs.append(id)
    }

    func isCut(_ id: String) -> Bool { cutIDs.contains(id) }
}

/// Functions that the model called.
struct OpenAIFunctionCalls {
    enum Answer: Equatable {
        case output(callID: String, String)
        /// To a call of a former session.
        case late(name: String, String)
    }

    /// Calls that are remembered, so that none is run twice; the oldest are forgotten first.
    static let maximumKnown = 128
    /// Answers that may wait for a session.
    static let maximumAnswers = 32

    /// Names by call id, in the order in which they came.
    private var known: [(callID: String, name: String, hasBegun: Bool)] = []
    /// Calls of this session without an answer.
    private var open: Set<String> = []
    private var answers: [Answer] = []
    /// Whether the session has been given outputs that no answer of the model's covers yet.
    var hasNewOutputs = false

    /// Whether the model waits for no answer.
    var isEmpty: Bool { open.isEmpty && answers.isEmpty }

    func name(of callID: String) -> String? {
        known.last { $0.callID == callID && !$0.name.isEmpty }?.name
    }

    mutating func note(_ call: OpenAIRealtimeItem.FunctionCall) {
        guard !call.callID.isEmpty, !known.contains(where: { $0.callID == call.callID }) else { return }
        remember(call.callID, call.name, hasBegun: false)
    }

    /// - Returns: False when it has been begun before.
    mutating func begin(_ call: OpenAIRealtimeItem.FunctionCall) -> Bool {
        guard !call.callID.isEmpty else { return false }
        if let index = known.lastIndex(where: { $0.callID == call.callID }) {
            guard !known[index].hasBegun else { return false }
            known[index].hasBegun = true
        } else {
            remember(call.callID, call.name, hasBegun: true)
        }
        open.insert(call.callID)
        return true
    }

    private mutating func remember(_ callID: String, _ name: String, hasBegun: Bool) {
        if known.count == Self.maximumKnown { open.remove(known.removeFirst().callID) }
        known.append((callID, name, hasBegun))
    }

    mutating func answered(_ result: ToolResult) {
        guard answers.count < Self.maximumAnswers else { return }
        if open.remove(result.id) != nil {
            answers.append(.output(callID: result.id, Self.text(of: result)))
        } else {
            answers.append(.late(name: result.name, Self.text(of: result)))
        }
    }

    /// The protocol has no mark for a failure: the model reads it from the text.
    private static func text(of result: ToolResult) -> String {
        result.isError ? OpenAIRealtimeItem.FunctionCall.failure(result.output) : result.output
    }

    mutating func takeAnswers() -> [Answer] {
        defer { answers = [] }
        return answers
    }

    /// Calls of the former session are unknown to the next.
    mutating func sessionBegan() {
        open = []
        hasNewOutputs = false
        answers = answers.map { answer in
            guard case .output(let callID, let text) = answer else { return answer }
            return .late(name: name(of: callID) ?? "", text)
        }
    }
}

/// Words that are still growing, by item.
struct OpenAIPartialTexts {
    /// Items at once; the oldest is forgotten first.
    static let maximumItems = 16
    /// Characters of one.
    static let maximumText = 8_000

    private var texts: [(itemID: String, text: String)] = []

    /// - Returns: All of it so far.
    mutating func append(_ delta: String, to itemID: String) -> String {
        guard let index = texts.lastIndex(where: { $0.itemID == itemID }) else {
            if texts.count == Self.maximumItems { texts.removeFirst() }
            texts.append((itemID, String(delta.prefix(Self.maximumText))))
            return texts[texts.count - 1].text
        }
        if texts[index].text.utf8.count + delta.utf8.count <= Self.maximumText { texts[index].text += delta }
        return texts[index].text
    }

    mutating func remove(_ itemID: String) { texts.removeAll { $0.itemID == itemID } }
}

/// The newest of the caller's audio, up to a length.
struct OpenAIHeldAudio {
    let bytesPerSecond: Int
    private var bytes = ByteBuffer()

    init(bytesPerSecond: Int) { self.bytesPerSecond = bytesPerSecond }

    mutating func append(_ payload: ByteBuffer, keeping span: TimeSpan) {
        payload.withUnsafeReadableBytes { _ = bytes.writeBytes($0) }
        let excess = bytes.readableBytes - byteCount(span)
        if excess > 0 { bytes.moveReaderIndex(forwardBy: excess) }
        // Moves what is kept once for every time its own length has passed.
        if bytes.readerIndex > bytes.readableBytes { bytes.discardReadBytes() }
    }

    /// Takes the newest audio of that length and forgets the rest; `nil` when there is none.
    mutating func take(_ span: TimeSpan) -> ByteBuffer? {
        defer { bytes.clear() }
        let excess = bytes.readableBytes - byteCount(span)
        if excess > 0 { bytes.moveReaderIndex(forwardBy: excess) }
        return bytes.readableBytes > 0 ? bytes : nil
    }

    /// In whole samples of 16 bits.
    private func byteCount(_ span: TimeSpan) -> Int { Int(span.milliseconds) * bytesPerSecond / 2000 * 2 }
}
