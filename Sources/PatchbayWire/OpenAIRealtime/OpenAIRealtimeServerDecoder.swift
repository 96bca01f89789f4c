public import NIOCore

/// Decodes what a Realtime session sends.
///
/// Audio is read in one pass and without allocation: the names of response and item, which stay the same over a whole
/// answer, are kept from one event to the next. Unknown types and fields and absent optional fields are no errors; fields
/// may come in any order.
public struct OpenAIRealtimeServerDecoder: Sendable {
    /// Largest audio of one event in decoded bytes.
    public let maximumAudio: Int
    private var last = OpenAIRealtimeServerEvent.Place()

    public init(maximumAudio: Int = 16 << 20) { self.maximumAudio = maximumAudio }

    /// - Parameters:
    ///   - message: One whole text message, from its reader index on.
    ///   - audio: The bytes of an audio delta are appended here. Keep and clear one buffer between events, and its memory
    ///     is used again. Unchanged when this throws.
    public mutating func decode(
        _ message: ByteBuffer, audio: inout ByteBuffer
    ) throws(WireError) -> OpenAIRealtimeServerEvent {
        try message.withUnsafeReadableBytes {
            (bytes: UnsafeRawBufferPointer) throws(WireError) -> OpenAIRealtimeServerEvent in
            var scanner = try JSONScanner(bytes)
            if let hot = try decodeAudio(&scanner, audio: &audio) { return hot }
            let object = try JSONObject(message: bytes)
            let type = try object.requiredString("type", in: "the event")
            if type == "response.output_audio.delta" || type == "response.audio.delta" {
                let place = OpenAIRealtimeServerEvent.Place(object)
                let count = try object.appendBase64("delta", in: type, limit: maximumAudio, to: &audio)
                return .audioDelta(place, byteCount: count)
            }
            return try OpenAIRealtimeServerEvent.decode(object, type: type)
        }
    }

    /// `nil` when the event is another one, or so unusual that the general reader must look at it.
    private mutating func decodeAudio(
        _ scanner: inout JSONScanner, audio: inout ByteBuffer
    ) throws(WireError) -> OpenAIRealtimeServerEvent? {
        var isAudio = false
        var delta: JSONString?
        var responseID: JSONString?
        var itemID: JSONString?
        var outputIndex = 0
        var contentIndex = 0
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard key.isPlain else { return nil }
            let isText = try scanner.peek() == UInt8(ascii: "\"")
            if scanner.matches(key, "type") {
                guard isText else { return nil }
                let type = try scanner.scanString()
                guard
                    scanner.matches(type, "response.output_audio.delta")
                        || scanner.matches(type, "response.audio.delta")
                else { return nil }
                isAudio = true
            } else if scanner.matches(key, "delta") {
                guard delta == nil, isText else { return nil }
                delta = try scanner.scanStringUnchecked()
            } else if scanner.matches(key, "response_id"), isText {
                responseID = try scanner.scanString()
            } else if scanner.matches(key, "item_id"), isText {
                itemID = try scanner.scanString()
            } else if scanner.matches(key, "output_index") {
                outputIndex = try scanner.scanInteger("output_index") ?? 0
            } else if scanner.matches(key, "content_index") {
                contentIndex = try scanner.scanInteger("content_index") ?? 0
            } else {
                try scanner.skipValue(depth: 1)
            }
        }
        try scanner.finish()
        guard isAudio, let delta else { return nil }
        let count = try scanner.appendBase64(delta, limit: maximumAudio, to: &audio)
        scanner.take(responseID, into: &last.responseID)
        scanner.take(itemID, into: &last.itemID)
        last.outputIndex = outputIndex
        last.contentIndex = contentIndex
        return .audioDelta(last, byteCount: count)
    }
}

extension JSONScanner {
    /// Keeps the former value where the new one is the same.
    fileprivate func take(_ string: JSONString?, into value: inout String) {
        guard let string else {
            value = ""
            return
        }
        let count = string.end - string.start
        let isSame =
            string.isPlain
            && value.utf8.withContiguousStorageIfAvailable { known in
                known.count == count
                    && known.elementsEqual(UnsafeBufferPointer(start: base + string.start, count: count))
            } == true
        if !isSame { value = self.value(of: string) }
    }
}
