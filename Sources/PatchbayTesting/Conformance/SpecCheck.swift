import Foundation
import PatchbayConfig

/// Whether a component's spec can be printed, linted and completed.
struct SpecCheck {
    private let spec: ComponentSpec

    init(_ spec: ComponentSpec) { self.spec = spec }

    func run(into findings: inout ConformanceFindings) {
        let words = spec.type.split(separator: "-", omittingEmptySubsequences: false)
        let isName = words.allSatisfy { word in
            !word.isEmpty && word.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) }
        }
        findings.expect(
            isName, .spec, "the type \"\(spec.type)\" is not lower-case letters and digits, parts joined by \"-\"")
        findings.expect(
            isSentence(spec.summary), .spec, "the summary is no sentence with a period: \"\(spec.summary)\"")
        check(spec.fields, in: "", &findings)
    }

    private func check(_ fields: [Field], in path: String, _ findings: inout ConformanceFindings) {
        var seen: Set<String> = []
        for field in fields {
            let name = path + field.name
            findings.expect(seen.insert(field.name).inserted, .spec, "\"\(name)\" is there twice")
            findings.expect(isKey(field.name), .spec, "\"\(name)\" is not written like \"silenceMs\"")
            findings.expect(
                isSentence(field.summary), .spec, "\"\(name)\" has no sentence with a period: \"\(field.summary)\"")
            if let value = field.defaultValue {
                findings.expect(!field.isRequired, .spec, "\"\(name)\" is required and has a default")
                findings.expect(
                    isValid(value, field.kind), .spec, "the default of \"\(name)\" is not one of its values: \(value)")
            }
            if let example = field.example, !isExample(example, field.kind) {
                findings.add(.spec, "the example of \"\(name)\" is not JSON of its kind: \(example)")
            }
            switch field.kind {
            case .choice(let words): findings.expect(!words.isEmpty, .spec, "\"\(name)\" has nothing to choose from")
            case .object(let inner), .objects(let inner): check(inner, in: "\(name).", &findings)
            default: break
            }
        }
    }

    private func isSentence(_ text: String) -> Bool { text.count > 1 && text.hasSuffix(".") }

    private func isKey(_ name: String) -> Bool {
        guard let first = name.utf8.first, (0x61...0x7a).contains(first) else { return false }
        return name.utf8.allSatisfy {
            (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0) || (0x30...0x39).contains($0)
        }
    }

    private func isValid(_ value: VariableValue, _ kind: Field.Kind) -> Bool {
        switch (kind, value) {
        case (.string, .string), (.boolean, .bool), (.strings, .string), (.json, _): true
        case (.choice(let words), .string(let word)): words.contains(word)
        case (.integer(let range), .number(let number)): Int(exactly: number).map(range.contains) ?? false
        case (.number(let range), .number(let number)): range.contains(number)
        default: false
        }
    }

    private func isExample(_ text: String, _ kind: Field.Kind) -> Bool {
        guard let json = try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed) else {
            return false
        }
        let number = json as? NSNumber
        let isBoolean = text == "true" || text == "false"
        switch kind {
        case .string: return json is String
        case .choice(let words): return (json as? String).map(words.contains) ?? false
        case .integer(let range):
            return !isBoolean && (number.flatMap { Int(exactly: $0) }.map(range.contains) ?? false)
        case .number(let range): return !isBoolean && (number.map { range.contains($0.doubleValue) } ?? false)
        case .boolean: return isBoolean
        case .secret, .variables, .headers, .object, .branches: return json is [String: Any]
        case .strings, .objects, .stages, .agents: return json is [Any]
        case .json: return true
        }
    }
}
