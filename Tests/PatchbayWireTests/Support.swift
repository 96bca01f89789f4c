import NIOCore
import Testing

@testable import PatchbayWire

/// A small generator with a seed, so that a failing run can be repeated (Steele and others, "SplitMix", 2014).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

func buffer(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

/// What `write` appends to an empty buffer, as text.
func text(_ write: (inout ByteBuffer) -> Void) -> String {
    var buffer = ByteBuffer()
    write(&buffer)
    return String(buffer: buffer)
}

/// The code of the error that `body` throws; records an issue when it throws none.
func errorCode(_ body: () throws(WireError) -> Void) -> WireError.Code? {
    do {
        try body()
        return nil
    } catch {
        return error.code
    }
}

/// Checks a JSON text with the general reader.
func checkJSON(_ text: String) throws(WireError) {
    try checkJSON(Array(text.utf8))
}

func checkJSON(_ bytes: [UInt8]) throws(WireError) {
    let message = ByteBuffer(bytes: bytes)
    try message.withUnsafeReadableBytes { (bytes: UnsafeRawBufferPointer) throws(WireError) in
        var scanner = try JSONScanner(bytes)
        try scanner.skipValue(depth: 0)
        try scanner.finish()
    }
}
