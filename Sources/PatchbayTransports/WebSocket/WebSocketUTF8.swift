/// Whether the bytes are well-formed UTF-8 as RFC 3629 defines it: no overlong form, no surrogate, nothing above
/// U+10FFFF. Does not allocate.
func isValidUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.withMemoryRebound(to: UInt8.self) { bytes in
        do {
            _ = try UTF8Span(validating: bytes.span)
            return true
        } catch {
            return false
        }
    }
}
