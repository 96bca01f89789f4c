/// A tensor of 32-bit floats in an ONNX file.
struct ONNXTensor {
    var name: String
    var shape: [Int]
    /// Its weights in the file, little endian, row by row.
    var data: Range<Int>
    /// Which graph of the file it belongs to, in the order in which graphs begin. An `If` holds one for each branch.
    var graph: Int
}

/// Reads the float tensors of an ONNX file by name: initializers and constants, also those inside branches.
///
/// The format is Protocol Buffers; field numbers are those of `onnx.proto3` of the ONNX project (IR version 3 and later).
/// Only what leads to tensors is read. Nesting, tensors and names are bounded, and nothing outside the file is opened.
struct ONNXReader {
    private(set) var tensors: [ONNXTensor] = []
    private let bytes: [UInt8]
    private let isWanted: (String) -> Bool
    private var graphCount = 0

    private static let maximumDepth = 16
    private static let maximumTensors = 1000
    private static let maximumNameLength = 512
    private static let maximumDimensions = 8
    private static let float32: UInt64 = 1
    private static let externalData: UInt64 = 1

    /// - Parameter isWanted: Whether a tensor of that name is of interest; others are only stepped over.
    init(_ bytes: [UInt8], where isWanted: @escaping (String) -> Bool) {
        self.bytes = bytes
        self.isWanted = isWanted
    }

    mutating func read() throws(VoiceActivityError) {
        // ModelProto: graph = 7.
        var hasGraph = false
        var model = ProtobufFields(bytes, 0..<bytes.count)
        while let field = try model.next() {
            if field.number == 7, let graph = field.content {
                hasGraph = true
                try readGraph(graph, depth: 1)
            }
        }
        guard hasGraph else { throw ProtobufFields.malformed(at: 0, "it holds no graph") }
    }

    private mutating func readGraph(_ range: Range<Int>, depth: Int) throws(VoiceActivityError) {
        guard depth <= ONNXReader.maximumDepth else {
            throw ProtobufFields.malformed(
                at: range.lowerBound, "graphs lie more than \(ONNXReader.maximumDepth) deep in each other")
        }
        let graph = graphCount
        graphCount += 1
        // GraphProto: node = 1, initializer = 5.
        var fields = ProtobufFields(bytes, range)
        while let field = try fields.next() {
            guard let content = field.content else { continue }
            if field.number == 1 { try readNode(content, graph, depth: depth) }
            if field.number == 5 { try readTensor(content, graph) }
        }
    }

    private mutating func readNode(_ range: Range<Int>, _ graph: Int, depth: Int) throws(VoiceActivityError) {
        // NodeProto: attribute = 5. AttributeProto: t = 5, g = 6.
        var fields = ProtobufFields(bytes, range)
        while let field = try fields.next() {
            guard field.number == 5, let content = field.content else { continue }
            var attribute = ProtobufFields(bytes, content)
            while let field = try attribute.next() {
                guard let content = field.content else { continue }
                if field.number == 5 { try readTensor(content, graph) }
                if field.number == 6 { try readGraph(content, depth: depth + 1) }
            }
        }
    }

    private mutating func readTensor(_ range: Range<Int>, _ graph: Int) throws(VoiceActivityError) {
        // TensorProto: dims = 1, data_type = 2, float_data = 4, name = 8, raw_data = 9, data_location = 14.
        var shape: [Int] = []
        var type: UInt64 = 0
        var location: UInt64 = 0
        var name = ""
        var data: Range<Int>?
        var fields = ProtobufFields(bytes, range)
        while let field = try fields.next() {
            switch (field.number, field.content) {
            case (1, nil): shape.append(try dimension(field.value, at: field.offset))
            case (1, let packed?):
                var values = ProtobufFields(bytes, packed)
                while let value = try values.nextVarint() { shape.append(try dimension(value, at: packed.lowerBound)) }
            case (2, nil): type = field.value
            case (8, let text?):
                guard text.count <= ONNXReader.maximumNameLength else {
                    throw ProtobufFields.malformed(at: text.lowerBound, "a name has \(text.count) bytes")
                }
                name = String(decoding: bytes[text], as: UTF8.self)
            // Both are the same bytes: four for each weight.
            case (4, let floats?), (9, let floats?): data = floats
            case (14, nil): location = field.value
            default: break
            }
            guard shape.count <= ONNXReader.maximumDimensions else {
                throw ProtobufFields.malformed(at: field.offset, "a tensor has more than 8 dimensions")
            }
        }
        guard isWanted(name) else { return }
        guard location != ONNXReader.externalData else {
            throw VoiceActivityError(
                .wrongShape, at: range.lowerBound,
                "the weights of \"\(name)\" are in another file; use a model that holds its own weights")
        }
        guard type == ONNXReader.float32 else {
            throw VoiceActivityError(
                .wrongShape, at: range.lowerBound,
                "\"\(name)\" is of ONNX type \(type); only 32-bit floats (type 1) are read, so use the model that has "
                    + "not been quantized")
        }
        let count = shape.reduce(1) { $0.multipliedReportingOverflow(by: $1).overflow ? .max : $0 * $1 }
        guard let data, count <= bytes.count, data.count == 4 * count else {
            throw VoiceActivityError(
                .wrongShape, at: range.lowerBound,
                "\"\(name)\" has \(data?.count ?? 0) bytes of weights, but its shape \(shape) needs 4 for each; "
                    + "get the model again")
        }
        guard tensors.count < ONNXReader.maximumTensors else {
            throw ProtobufFields.malformed(
                at: range.lowerBound, "it has more than \(ONNXReader.maximumTensors) tensors")
        }
        tensors.append(ONNXTensor(name: name, shape: shape, data: data, graph: graph))
    }

    private func dimension(_ value: UInt64, at offset: Int) throws(VoiceActivityError) -> Int {
        guard let size = Int(exactly: value) else {
            throw ProtobufFields.malformed(at: offset, "a dimension is negative or too large")
        }
        return size
    }
}

/// One pass over the fields of a Protocol Buffers message (<https://protobuf.dev/programming-guides/encoding/>).
struct ProtobufFields {
    struct Field {
        var number: UInt64
        /// Where it begins.
        var offset: Int
        /// Of a varint; 0 for other types.
        var value: UInt64
        /// The bytes of a length-delimited field; `nil` for other types.
        var content: Range<Int>?
    }

    private let bytes: [UInt8]
    private var position: Int
    private let end: Int

    /// - Parameter range: Inside `bytes`.
    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    mutating func next() throws(VoiceActivityError) -> Field? {
        guard position < end else { return nil }
        let offset = position
        let key = try varint()
        var field = Field(number: key >> 3, offset: offset, value: 0, content: nil)
        switch key & 7 {
        case 0: field.value = try varint()
        case 1: _ = try skip(8)
        case 2:
            let length = try varint()
            field.content = try skip(Int(exactly: length) ?? .max)
        case 5: _ = try skip(4)
        default:
            throw ProtobufFields.malformed(at: offset, "wire type \(key & 7) does not occur in it")
        }
        guard field.number > 0 else { throw ProtobufFields.malformed(at: offset, "there is no field 0") }
        return field
    }

    /// The next number of a packed field.
    mutating func nextVarint() throws(VoiceActivityError) -> UInt64? { position < end ? try varint() : nil }

    private mutating func varint() throws(VoiceActivityError) -> UInt64 {
        let offset = position
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else { throw truncated(1) }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw ProtobufFields.malformed(at: offset, "a number has more than ten bytes")
    }

    private mutating func skip(_ count: Int) throws(VoiceActivityError) -> Range<Int> {
        guard count <= end - position else { throw truncated(count) }
        defer { position += count }
        return position..<position + count
    }

    private func truncated(_ count: Int) -> VoiceActivityError {
        guard end == bytes.count else {
            return ProtobufFields.malformed(at: position, "a field is longer than the message around it")
        }
        return VoiceActivityError(
            .modelTruncated, at: position,
            "the file ends after \(bytes.count) bytes, inside a field of \(count) bytes that begins here; get the model again"
        )
    }

    static func malformed(at offset: Int, _ reason: String) -> VoiceActivityError {
        VoiceActivityError(
            .notAModel, at: offset,
            "not an ONNX model, or a damaged one: \(reason); `patchbay model silero` gets the right file")
    }
}
