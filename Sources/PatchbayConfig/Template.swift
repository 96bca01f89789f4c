public import PatchbayCore

/// What a `${…}` refers to.
enum Reference: Hashable, Sendable {
    case variable(String)
    case caller, called, callSid
    case context(String)

    /// The names under `call.`.
    static let callNames = ["call.from", "call.to", "call.sid"]
}

/// A text with `${…}` in it, already taken apart, so that a value can never change the structure of a document.
struct Template: Sendable {
    enum Part: Sendable {
        case literal(String)
        case reference(Reference)
    }

    /// As the document has it; this is what a text reads as while documents are checked.
    var source: String
    var parts: [Part]
    /// What holds when the text is one reference to a context value that the call lacks.
    var fallback: String?
    /// Whether the document itself is from outside, so that what its variables hold names no file.
    var isFromStranger = false

    /// Whether anything in it comes with the call, and so from outside: `${call.…}`, `${context.…}`.
    var holdsCallValues: Bool {
        isFromStranger
            || parts.contains { part in
                switch part {
                case .reference(.variable), .literal: false
                case .reference: true
                }
            }
    }

    /// The first value it holds that is looked up about the caller.
    var contextName: String? {
        for case .reference(.context(let name)) in parts { return name }
        return nil
    }

    /// The one reference that makes up the whole text.
    var soleReference: Reference? {
        if parts.count == 1, case .reference(let reference)? = parts.first { reference } else { nil }
    }

    /// The text for one call; `nil` when it is one reference to a context value that the call lacks.
    ///
    /// Inside a longer text, a missing context value is empty.
    /// - Throws: When a variable is not set.
    func text(in scope: ReferenceScope) throws(PipelineError) -> String? {
        if let soleReference { return try scope.value(of: soleReference)?.description ?? fallback }
        var text = ""
        for part in parts {
            switch part {
            case .literal(let literal): text += literal
            case .reference(let reference): text += try scope.value(of: reference)?.description ?? ""
            }
        }
        return text
    }

    /// Like ``text(in:)``, but one reference alone keeps the type of its value.
    func value(in scope: ReferenceScope) throws(PipelineError) -> VariableValue? {
        if let soleReference { return try scope.value(of: soleReference) }
        return try text(in: scope).map(VariableValue.string)
    }
}

/// The values that references find for one call.
struct ReferenceScope {
    var call: CallVariables
    var variables: [String: VariableValue]

    /// - Returns: `nil` for a context value that the call lacks.
    func value(of reference: Reference) throws(PipelineError) -> VariableValue? {
        switch reference {
        case .caller: return .string(call.from)
        case .called: return .string(call.to)
        case .callSid: return .string(call.sid)
        case .context(let name): return call.context[name]
        case .variable(let name):
            guard let value = variables[name] else {
                throw PipelineError(
                    .missingVariable, "the variable \"\(name)\" is not set for this call; add it to \"variables\"")
            }
            return value
        }
    }
}

extension PipelineError.Code {
    /// A `${…}` of a document refers to a variable that the call's number does not set.
    public static let missingVariable = Self("missing-variable")
}

/// What follows `env.` in a `${…}`: a variable's name and, behind `:-` as in a shell, what holds where it is not set.
struct EnvironmentReference {
    var name: String
    var fallback: String?

    init(_ text: String) {
        guard let mark = text.range(of: ":-") else {
            name = text
            return
        }
        name = String(text[..<mark.lowerBound])
        fallback = String(text[mark.upperBound...])
    }
}

/// One stretch of a text before its references are judged.
enum TemplatePiece: Equatable {
    case literal(String)
    /// The name between the braces; the range covers `${name}` in UTF-8 bytes of the text.
    case reference(String, Range<Int>)
    /// A `${` that is never closed.
    case unclosed(Range<Int>)

    /// Takes a text apart. `$${` stands for a literal `${`.
    static func pieces(of text: String) -> [TemplatePiece] {
        let bytes = Array(text.utf8)
        var pieces: [TemplatePiece] = []
        var literal: [UInt8] = []
        func flush() {
            if !literal.isEmpty { pieces.append(.literal(String(decoding: literal, as: UTF8.self))) }
            literal = []
        }
        var offset = 0
        while offset < bytes.count {
            let rest = bytes[offset...].prefix(3)
            if rest.elementsEqual("$${".utf8) {
                literal += "${".utf8
                offset += 3
            } else if rest.starts(with: "${".utf8) {
                flush()
                guard let close = bytes[offset...].firstIndex(of: UInt8(ascii: "}")) else {
                    pieces.append(.unclosed(offset..<bytes.count))
                    return pieces
                }
                let name = String(decoding: bytes[(offset + 2)..<close], as: UTF8.self)
                pieces.append(.reference(name, offset..<(close + 1)))
                offset = close + 1
            } else {
                literal.append(bytes[offset])
                offset += 1
            }
        }
        flush()
        return pieces
    }
}
