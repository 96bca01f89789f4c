#if canImport(Glibc)
    import Glibc
    import NIOCore
    import Testing

    @testable import PatchbayWire

    /// Runs the readers on memory that ends at a page nobody may touch: one byte read or written too far ends the process.
    @Suite struct BoundsTests {
        /// Calls `body` with a copy of `bytes` whose end is the end of the accessible memory.
        private func withGuardedEnd(_ bytes: [UInt8], _ body: (UnsafeMutableRawBufferPointer) -> Void) throws {
            let page = Int(getpagesize())
            let size = (bytes.count + page - 1) / page * page
            let memory = try #require(
                mmap(nil, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
            try #require(memory != MAP_FAILED)
            defer { munmap(memory, size + page) }
            try #require(mprotect(memory + size, page, PROT_NONE) == 0)
            let room = UnsafeMutableRawBufferPointer(start: memory + size - bytes.count, count: bytes.count)
            room.copyBytes(from: bytes)
            body(room)
        }

        @Test func everyPrefixOfEveryMessage() throws {
            let messages =
                ElevenLabsServerMessageTests.golden.map(\.0) + ElevenLabsClientMessageTests.golden.map(\.0) + [
                    #"{"event":"media","media":{"track":"inbound","chunk":"2","payload":"f39/f39\/fw=="},"streamSid":"MZ1"}"#,
                    #"{"a":"\u00e9\ud83d\ude00é東👋","b":[true,false,null,-1.5e-10]}"#,
                ]
            for message in messages {
                let whole = Array(message.utf8)
                for length in 1...whole.count {
                    try withGuardedEnd(Array(whole[..<length])) { bytes in
                        let object = try? JSONObject(message: UnsafeRawBufferPointer(bytes))
                        #expect((object != nil) == (length == whole.count))
                        for member in object?.members ?? [] { _ = (member.value.string, member.value.integer) }
                    }
                }
            }
        }

        @Test func base64ReadsAndWritesItsOwnMemoryOnly() throws {
            for count in 0...70 {
                let plain = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
                let blank = [UInt8](repeating: 0, count: Base64.encodedCount(of: count))
                try withGuardedEnd(plain) { plain in
                    try? withGuardedEnd(blank) { text in
                        #expect(Base64.encode(UnsafeRawBufferPointer(plain), into: text) == text.count)
                        let before = Array(plain)
                        #expect(Base64.decodeIfValid(UnsafeRawBufferPointer(text), into: plain) == count)
                        #expect(Array(plain) == before)
                    }
                }
            }
        }
    }
#endif
