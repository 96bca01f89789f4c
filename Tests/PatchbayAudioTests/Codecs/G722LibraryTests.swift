@testable import PatchbayAudio
import Testing

extension G722Library {
    static var isInstalled: Bool { (try? shared()) != nil }
}

@Suite struct G722LibraryTests {
    @Test func anAbsentLibraryIsAClearError() {
        let error = #expect(throws: DynamicLibraryError.self) { try G722Library("libspandsp-nowhere.so.9") }
        #expect(error?.message.contains("apt-get install libspandsp2") == true)
    }

    /// Any bytes are G.722.
    @Test(.enabled(if: G722Library.isInstalled, "needs libspandsp2"))
    func randomBytesDecodeToSomething() throws {
        let seed: UInt64 = 722
        var generator = SeededGenerator(seed: seed)
        let decoder = try G722Decoder(AudioFormat(.g722, sampleRate: 16_000))
        for _ in 0..<200 {
            let bytes = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            #expect(try decoder.samples(bytes).count == 2 * bytes.count, "seed \(seed)")
        }
    }
}
