import Glibc
import Synchronization

/// The weights of the Silero voice activity detector, versions 5 and 6, read from its ONNX file.
///
/// The file (`silero_vad.onnx` of <https://github.com/snakers4/silero-vad>, MIT licence) does not come with Patchbay;
/// `patchbay model silero` gets it. It holds one network for 8 kHz and one for 16 kHz; files with only one of them are
/// read, too. A model is immutable and takes about 2.5 MB; all calls share it.
public final class SileroModel: Sendable {
    /// Rates that the file has a network for, in Hz, ascending.
    public let sampleRates: [Int]
    private let networks: [Int: SileroNetwork]

    /// The largest file that is read, in bytes.
    public static let maximumBytes = 64 << 20

    /// Reads a model from the bytes of its file.
    ///
    /// - Throws: ``VoiceActivityError``: not a model, truncated, a tensor missing or of another shape, a weight that is
    ///   infinite or not a number; with the place in the file.
    public init(bytes: [UInt8]) throws(VoiceActivityError) {
        if let kind = SileroModel.otherKind(bytes) {
            throw VoiceActivityError(
                .notAModel, at: 0,
                "\(kind), not an ONNX model; the file is silero_vad.onnx, and `patchbay model silero` gets it")
        }
        var reader = ONNXReader(bytes) { name in SileroNetwork.tensorNames.contains { name.hasSuffix($0) } }
        try reader.read()
        // In one graph there may be two networks, apart in what stands before the common part of their tensors' names.
        var groups: [String: [String: ONNXTensor]] = [:]
        for tensor in reader.tensors {
            guard let suffix = SileroNetwork.tensorNames.first(where: { tensor.name.hasSuffix($0) }) else { continue }
            groups["\(tensor.graph) \(tensor.name.dropLast(suffix.count))", default: [:]][suffix] = tensor
        }
        var networks: [Int: SileroNetwork] = [:]
        for (_, tensors) in groups.sorted(by: { $0.key < $1.key }) {
            let network = try SileroNetwork(tensors, bytes)
            networks[network.sampleRate] = network
        }
        guard !networks.isEmpty else {
            throw VoiceActivityError(
                .missingTensor,
                "an ONNX model, but not of Silero VAD version 5 or 6: it has no tensor \"\(SileroNetwork.tensorNames[0])\""
            )
        }
        self.networks = networks
        sampleRates = networks.keys.sorted()
    }

    /// Reads a model from disk, blocking the calling thread for some milliseconds.
    ///
    /// - Throws: ``VoiceActivityError``, with the path in it.
    public convenience init(path: String) throws(VoiceActivityError) {
        do throws(VoiceActivityError) {
            try self.init(bytes: SileroModel.read(path))
        } catch {
            throw error.naming(path)
        }
    }

    func network(for sampleRate: Int) throws(VoiceActivityError) -> SileroNetwork {
        if let network = networks[sampleRate] { return network }
        let rates = sampleRates.map(String.init).joined(separator: " and ")
        throw VoiceActivityError(
            .unsupportedSampleRate, "the silero model takes \(rates) Hz, not \(sampleRate); resample before it")
    }

    /// What else the file is, by its first bytes, if that can be told.
    private static func otherKind(_ bytes: [UInt8]) -> String? {
        switch bytes.prefix(2) {
        case []: "an empty file"
        case [0x50, 0x4B]: "a ZIP archive (a wheel, or a PyTorch model)"
        case [0x3C, 0x21], [0x3C, 0x68]: "a web page"
        case [0x76, 0x65]: "a note of Git LFS"
        default: nil
        }
    }

    private static func read(_ path: String) throws(VoiceActivityError) -> [UInt8] {
        do throws(FileFault) {
            return try readBytes(path, maximumBytes: maximumBytes)
        } catch {
            guard error.kind == .tooLarge else { throw VoiceActivityError(.modelUnreadable, error.message) }
            throw VoiceActivityError(
                .modelTooLarge, "larger than \(maximumBytes) bytes; silero_vad.onnx has some 2.3 million")
        }
    }
}

extension SileroModel {
    /// The model of that file, read once and shared by all who ask for the path.
    ///
    /// - Parameter refreshing: Looks whether the file has changed since, and reads it again if so. Those who hold the old
    ///   model keep it.
    /// - Throws: ``VoiceActivityError``, with the path in it.
    public static func shared(path: String, refreshing: Bool = false) throws(VoiceActivityError) -> SileroModel {
        let known = cache.withLock { $0[path] }
        if let known, !refreshing || known.stamp == Stamp(path) { return known.model }
        let stamp = Stamp(path)
        let model = try SileroModel(path: path)
        cache.withLock { $0[path] = (stamp, model) }
        return model
    }

    /// Where `patchbay model silero` puts the file: `patchbay/silero_vad.onnx` in `$XDG_CACHE_HOME`, or in `.cache` of
    /// the home directory where that is not set.
    public static var defaultPath: String {
        func variable(_ name: String) -> String? {
            getenv(name).map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        let cache = variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "/var") + "/.cache"
        return cache + "/patchbay/silero_vad.onnx"
    }

    private static let cache = Mutex<[String: (stamp: Stamp, model: SileroModel)]>([:])

    /// Tells one state of a file from another.
    private struct Stamp: Equatable {
        var inode: UInt64 = 0
        var size: Int64 = 0
        var seconds: Int = 0
        var nanoseconds: Int = 0

        init(_ path: String) {
            var information = stat()
            guard stat(path, &information) == 0 else { return }
            inode = UInt64(information.st_ino)
            size = Int64(information.st_size)
            seconds = information.st_mtim.tv_sec
            nanoseconds = information.st_mtim.tv_nsec
        }
    }
}
