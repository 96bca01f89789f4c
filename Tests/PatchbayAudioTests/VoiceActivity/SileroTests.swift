import Glibc
import Testing

@testable import PatchbayAudio

@Suite struct SileroTests {
    private static let narrow = SileroWeights(rate: 8000, seed: 1)
    private static let wide = SileroWeights(rate: 16_000, seed: 2)
    /// Both networks in the branches of an `If`, as in silero_vad.onnx.
    private static let file = ONNXWriter.model(
        ONNXWriter.branches(ONNXWriter.constants(wide.tensors), ONNXWriter.constants(narrow.tensors)))
    private static let model = Result { () throws(VoiceActivityError) in try SileroModel(bytes: file) }

    private func scores(_ detector: SileroDetector, _ samples: [Int16]) -> [Double] {
        var detector = detector
        return detector.scores(samples)
    }

    @Test(arguments: [(8000, 6), (16_000, 3)])
    func agreesWithAPlainReference(rate: Int, windows: Int) throws {
        let detector = try SileroDetector(Self.model.get(), sampleRate: rate)
        let length = rate * 32 / 1000
        #expect(detector.windowLength == length)
        // The part where the buzz begins, so that every layer has something to do.
        let samples = Array(buzzInNoise[(8000 - length)...].prefix(windows * length))
        var reference = SileroReference(rate == 8000 ? Self.narrow : Self.wide)
        let found = scores(detector, samples)
        for (window, score) in found.enumerated() {
            let expected = reference.score(Array(samples[(window * length)...].prefix(length)))
            #expect(abs(score - expected) < 1e-5, "window \(window): \(score) instead of \(expected)")
        }
        #expect(Set(found.map { Int($0 * 1000) }).count > 1, "the scores move: \(found)")
        detector.reset()
        #expect(scores(detector, samples) == found)
    }

    @Test func portableCodeGivesTheSameBits() throws {
        for rate in [8000, 16_000] {
            let network = try Self.model.get().network(for: rate)
            let samples = Array(buzzInNoise[6000...].prefix(5 * network.window))
            let fast = scores(SileroDetector(network, isPortable: false), samples)
            #expect(scores(SileroDetector(network, isPortable: true), samples) == fast, "\(rate) Hz")
        }
    }

    @Test func loudAndSilentSignalsGiveProbabilities() throws {
        let model = try Self.model.get()
        let square = (0..<2048).map { $0 % 40 < 20 ? Int16.max : .min }
        for samples in [square, [Int16](repeating: 0, count: 1024)] {
            let found = scores(try SileroDetector(model, sampleRate: 8000), samples)
            #expect(found.allSatisfy { (0...1).contains($0) }, "\(found)")
        }
    }

    @Test func findsTheNetworksWhereverTheyAre() throws {
        var floats = Self.narrow
        for index in floats.tensors.indices { floats.tensors[index].usesFloatData = true }
        let both = ONNXWriter.initializers(Self.wide.prefixed("model.") + Self.narrow.prefixed("model_8k."))
        #expect(try SileroModel(bytes: ONNXWriter.model(both)).sampleRates == [8000, 16_000])
        let one = try SileroModel(bytes: ONNXWriter.model(ONNXWriter.constants(floats.tensors)))
        #expect(one.sampleRates == [8000])
        let samples = Array(buzzInNoise[8000..<8512])
        #expect(
            scores(try SileroDetector(one, sampleRate: 8000), samples)
                == scores(try SileroDetector(Self.model.get(), sampleRate: 8000), samples))
        let error = #expect(throws: VoiceActivityError.self) { try SileroDetector(one, sampleRate: 16_000) }
        #expect(error?.code == .unsupportedSampleRate && error?.message.contains("takes 8000 Hz") == true)
        #expect(throws: VoiceActivityError.self) { try SileroDetector(Self.model.get(), sampleRate: 24_000) }
    }

    /// A change to one tensor of a model of 8 kHz, and what the reader says.
    struct Fault: Sendable, CustomStringConvertible {
        var description: String
        var code: VoiceActivityError.Code
        var words: String
        var change: @Sendable (inout [ONNXWriter.Tensor]) -> Void
    }

    static let faults = [
        Fault(description: "no transform", code: .missingTensor, words: "\"stft.forward_basis_buffer\"") {
            $0.removeFirst()
        },
        Fault(description: "no bias", code: .missingTensor, words: "\"decoder.rnn.bias_hh\"") {
            $0.removeAll { $0.name == "decoder.rnn.bias_hh" }
        },
        Fault(description: "another transform", code: .wrongShape, words: "[130, 1, 128] for 8 kHz") {
            $0[0].shape = [65, 2, 128]
        },
        Fault(description: "transposed", code: .wrongShape, words: "has the shape [65, 128, 3], but [128, 65, 3]") {
            $0[1].shape = [65, 128, 3]
        },
        Fault(description: "too few weights", code: .wrongShape, words: "99836 bytes of weights") {
            $0[1].values.removeLast()
        },
        Fault(description: "a shape beyond all bounds", code: .wrongShape, words: "needs 4 for each") {
            $0[1].shape = [.max, .max, 3]
        },
        Fault(
            description: "not a number", code: .invalidWeights,
            words: "weight 7 of \"encoder.0.reparam_conv.bias\" is nan"
        ) {
            $0[2].values[7] = .nan
        },
        Fault(description: "infinite", code: .invalidWeights, words: "is -inf") {
            $0[9].values[65_535] = -.infinity
        },
        Fault(description: "half precision", code: .wrongShape, words: "ONNX type 10") { $0[3].type = 10 },
    ]

    @Test(arguments: faults)
    func faultyWeightsAreNamed(fault: Fault) {
        var tensors = Self.narrow.tensors
        fault.change(&tensors)
        let error = #expect(throws: VoiceActivityError.self) {
            try SileroModel(bytes: ONNXWriter.model(ONNXWriter.constants(tensors)))
        }
        #expect(error?.code == fault.code && error?.message.contains(fault.words) == true, "\(error as Any)")
    }

    @Test func whatIsNoModelIsToldApart() {
        let kinds: [([UInt8], VoiceActivityError.Code, String)] = [
            ([], .notAModel, "an empty file"),
            ([0x50, 0x4B, 3, 4], .notAModel, "a ZIP archive"),
            (Array("<!DOCTYPE html>".utf8), .notAModel, "a web page"),
            (Array("version https://git-lfs".utf8), .notAModel, "Git LFS"),
            (Array("hello, world".utf8), .notAModel, "wire type 4"),
            (ONNXWriter.field(1, value: 8), .notAModel, "no graph"),
            ([0x0B], .notAModel, "wire type 3"),
            ([UInt8](repeating: 0xFF, count: 20), .notAModel, "more than ten bytes"),
            ([0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], .modelTruncated, "inside a field"),
            (ONNXWriter.model([]), .missingTensor, "it has no tensor"),
        ]
        for (bytes, code, words) in kinds {
            let error = #expect(throws: VoiceActivityError.self) { try SileroModel(bytes: bytes) }
            #expect(error?.code == code && error?.message.contains(words) == true, "\(error as Any)")
        }
        var nested: [UInt8] = []
        for _ in 0..<20 { nested = ONNXWriter.field(1, ONNXWriter.field(5, ONNXWriter.field(6, nested))) }
        let deep = #expect(throws: VoiceActivityError.self) { try SileroModel(bytes: ONNXWriter.model(nested)) }
        #expect(deep?.message.contains("16 deep") == true)
    }

    @Test func aCutOrDamagedFileIsAnErrorAndNeverATrap() {
        let whole = ONNXWriter.model(ONNXWriter.initializers(Array(Self.narrow.tensors.suffix(3))))
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<100 {
            let count = Int.random(in: 3..<whole.count, using: &generator)
            let error = #expect(throws: VoiceActivityError.self) { try SileroModel(bytes: Array(whole.prefix(count))) }
            #expect(error?.code == .modelTruncated, "cut at \(count)")
            var damaged = whole
            for _ in 0..<3 {
                damaged[Int.random(in: 0..<60, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            #expect(throws: VoiceActivityError.self) { try SileroModel(bytes: damaged) }
        }
    }

    @Test func aFileIsReadOnceUntilItChanges() throws {
        var template = Array("/tmp/patchbay-silero-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        let path = folder + "/silero_vad.onnx"
        defer {
            unlink(path)
            rmdir(folder)
        }
        func write(_ bytes: [UInt8]) {
            let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            close(descriptor)
        }
        let missing = #expect(throws: VoiceActivityError.self) { try SileroModel.shared(path: path) }
        #expect(missing?.code == .modelUnreadable && missing?.description.hasPrefix(path) == true)
        write(ONNXWriter.model(ONNXWriter.constants(Self.narrow.tensors)))
        let first = try SileroModel.shared(path: path)
        #expect(try SileroModel.shared(path: path) === first)
        #expect(try SileroModel.shared(path: path, refreshing: true) === first)
        write(Self.file)
        #expect(try SileroModel.shared(path: path) === first)
        let second = try SileroModel.shared(path: path, refreshing: true)
        #expect(second !== first && second.sampleRates == [8000, 16_000])
        #expect(SileroModel.defaultPath.hasSuffix("/patchbay/silero_vad.onnx"))
    }
}
