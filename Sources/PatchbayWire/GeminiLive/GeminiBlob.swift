/// Bytes with a MIME type, as both sides send sound (ai.google.dev/api/caching#Blob), found but not decoded.
struct GeminiBlob {
    /// What the documentation says of sound that does not name its rate.
    static let defaultInputRate = 16_000, defaultOutputRate = 24_000

    enum Sound { case pcm(rate: Int), none }

    var mimeType: JSONString?
    /// Not checked yet: decode it or check it.
    var data: JSONString?

    /// Reads the object that opens at the scanner's position.
    init(_ scanner: inout JSONScanner, depth: Int) throws(WireError) {
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            let isString = try scanner.peek() == UInt8(ascii: "\"")
            if isString, scanner.says(key, "data") {
                // Only the last one of a key counts; the others are checked like any text.
                if let data { _ = try scanner.check(data) }
                data = try scanner.scanStringUnchecked()
            } else if isString, scanner.says(key, "mimeType") || scanner.says(key, "mime_type") {
                mimeType = try scanner.scanString()
            } else {
                try scanner.skipValue(depth: depth + 1)
            }
        }
    }

    /// What the MIME type says, for instance `audio/pcm;rate=24000`.
    ///
    /// - Throws: For sound in another encoding, and a rate beyond 8,000 to 48,000 Hz.
    func sound(_ scanner: JSONScanner, defaultRate: Int) throws(WireError) -> Sound {
        guard let mimeType else { return .none }
        if mimeType.isPlain {
            let bytes = UnsafeBufferPointer(start: scanner.base + mimeType.start, count: mimeType.end - mimeType.start)
            return try Self.sound(bytes, defaultRate: defaultRate, offset: mimeType.start)
        }
        let bytes = Array(scanner.value(of: mimeType).utf8)
        return try bytes.withUnsafeBufferPointer { (bytes: UnsafeBufferPointer<UInt8>) throws(WireError) -> Sound in
            try Self.sound(bytes, defaultRate: defaultRate, offset: mimeType.start)
        }
    }

    private static func sound(
        _ bytes: UnsafeBufferPointer<UInt8>, defaultRate: Int, offset: Int
    ) throws(WireError) -> Sound {
        guard starts(bytes, 0, with: "audio/") else { return .none }
        guard starts(bytes, 0, with: "audio/pcm"), bytes.count == 9 || bytes[9] == UInt8(ascii: ";") else {
            throw WireError(.unsupported, "sound that is not audio/pcm", offset: offset)
        }
        var position = 9
        while position < bytes.count {
            guard starts(bytes, position, with: "rate=") else {
                position += 1
                continue
            }
            position += 5
            var rate = 0
            while position < bytes.count, bytes[position] &- 0x30 <= 9, rate < 1_000_000 {
                rate = rate * 10 + Int(bytes[position] - 0x30)
                position += 1
            }
            guard (8_000...48_000).contains(rate) else {
                throw WireError(.invalidValue, "sound at \(rate) Hz; 8,000 to 48,000 are understood", offset: offset)
            }
            return .pcm(rate: rate)
        }
        return .pcm(rate: defaultRate)
    }

    private static func starts(_ bytes: UnsafeBufferPointer<UInt8>, _ position: Int, with text: StaticString) -> Bool {
        guard bytes.count - position >= text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount where bytes[position + index] != text.utf8Start[index] { return false }
        return true
    }
}
