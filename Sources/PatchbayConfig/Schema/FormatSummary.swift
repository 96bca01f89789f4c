import PatchbayAudio

/// What a component takes and gives, in words.
struct FormatSummary: Sendable {
    var takes: String
    var gives: String?

    var json: JSONValue {
        var object: JSONValue = ["takes": .string(takes)]
        object.append("gives", gives.map { .string($0) })
        return object
    }
}

extension ComponentRegistry {
    /// What the component takes and gives with its defaults, found by asking it; `nil` for the structure of documents.
    func formats(of spec: ComponentSpec) -> FormatSummary? {
        guard !spec.isStructure else { return nil }
        switch spec.kind {
        case .transport: return transport(spec.type).map(Self.formats)
        case .stage: return stage(spec.type).flatMap(Self.formats)
        case .agent: return agent(spec.type).map(Self.formats)
        }
    }

    private static func formats(of transport: any TransportComponent) -> FormatSummary {
        let format = transport.format(Settings(transport.spec.fields))
        let depends = transport.spec.fields.contains { ["rateHz", "encoding"].contains($0.name) }
        return FormatSummary(takes: "\(format)" + (depends ? ", by default" : ""), gives: "the same")
    }

    private static func formats(of agent: any AgentComponent) -> FormatSummary {
        let settings = Settings(agent.spec.fields)
        let joints = [AudioFormat.telephony, .pcm(8000), .pcm(16_000)]
        let found = joints.map { ($0, agent.formats(for: $0, settings: settings)) }
        func words(_ path: (AgentFormats) -> [AudioFormat]) -> String {
            if found.allSatisfy({ path($0.1) == [$0.0] }) { return "what the chain has there" }
            var seen: [AudioFormat] = []
            for format in found.flatMap({ path($0.1) }) where !seen.contains(format) { seen.append(format) }
            return "one of: " + seen.map(\.description).joined(separator: ", ")
        }
        return FormatSummary(takes: words { $0.inputs }, gives: words { $0.outputs })
    }

    private static let rates = [8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]

    private static func formats(of stage: any StageComponent) -> FormatSummary? {
        let examples = stage.spec.fields.filter(\.mustBeWritten)
        var values: [String: VariableValue] = [:]
        for field in examples {
            if let value = field.example.flatMap({ JSONValue(parsing: $0) })?.variable { values[field.name] = value }
        }
        let settings = Settings(stage.spec.fields, values)
        let all = AudioFormat.Encoding.allCases.flatMap { encoding in
            rates.flatMap { rate in [1, 2].map { AudioFormat(encoding, sampleRate: rate, channelCount: $0) } }
        }
        let pairs = all.compactMap { input in
            (try? stage.output(for: input, settings: settings)).map { (input: input, output: $0) }
        }
        guard !pairs.isEmpty else { return nil }
        let takes = words(for: pairs.map(\.input))
        guard pairs.contains(where: { $0.input != $0.output }) else {
            return FormatSummary(takes: takes, gives: "what it takes")
        }
        var gives = alternatives(distinct(pairs.map(\.output.encoding.rawValue)))
        if pairs.contains(where: { $0.input.sampleRate != $0.output.sampleRate }) {
            gives += " at " + rateWords(distinct(pairs.map(\.output.sampleRate)))
        }
        let given = examples.compactMap { field in values[field.name].map { "\"\(field.name)\": \($0.json)" } }
        return FormatSummary(
            takes: takes, gives: gives + (given.isEmpty ? "" : " with \(given.joined(separator: ", "))"))
    }

    private static func words(for formats: [AudioFormat]) -> String {
        let encodings = distinct(formats.map(\.encoding))
        let isMono = formats.allSatisfy { $0.channelCount == 1 }
        var words =
            encodings.count == AudioFormat.Encoding.allCases.count
            ? "any encoding" : alternatives(encodings.map(\.rawValue))
        if isMono { words += " mono" }
        let found = distinct(formats.map(\.sampleRate))
        if found.count < rates.count { words += " at " + rateWords(found) }
        return words
    }

    private static func rateWords(_ rates: [Int]) -> String { alternatives(rates.map(String.init)) + " Hz" }

    private static func distinct<T: Hashable>(_ values: [T]) -> [T] {
        var seen: Set<T> = []
        return values.filter { seen.insert($0).inserted }
    }
}

extension JSONValue {
    /// As the value of a variable; `nil` for what variables cannot be.
    var variable: VariableValue? {
        switch self {
        case .string(let text): .string(text)
        case .number(let text): Double(text).map { .number($0) }
        case .boolean(let value): .bool(value)
        case .null, .array, .object: nil
        }
    }
}
