/// Words to be spoken, or the sound file that is played instead.
public enum Speech: Sendable, Hashable {
    case words(String)
    /// The path of a WAV file; relative ones start from the document's folder.
    case file(String)

    /// A text that its author wrote: the path of a file when it ends in `.wav`, whatever the case, else words.
    public init(_ text: String) { self = text.lowercased().hasSuffix(".wav") ? .file(text) : .words(text) }

    /// The words, or the path.
    public var text: String {
        switch self {
        case .words(let text), .file(let text): text
        }
    }
}

extension Speech: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) { self.init(value) }
}

extension Settings {
    /// A text that is to be heard.
    ///
    /// What its author wrote is a file when it ends in `.wav`; so is a variable that the document or the number sets. But
    /// a text that anything of the call is part of, `${call.…}` or `${context.…}`, is always words: nobody who calls, and
    /// nothing that is looked up about them, may choose a file of the server.
    public func speech(_ name: String) -> Speech? {
        if case .text(let text)? = value(of: name) { text.speech } else { nil }
    }

    /// The texts of a list that are to be heard, in their order, by the same rule.
    public func speeches(_ name: String) -> [Speech] {
        if case .texts(let texts)? = value(of: name) { texts.map(\.speech) } else { [] }
    }

    /// The values of an object that are to be heard, by the same rule.
    public func speeches(byName name: String) -> [String: Speech] {
        guard case .variables(let variables)? = value(of: name) else { return [:] }
        return variables.mapValues { variable in
            switch variable {
            case .value(let value): Speech("\(value)")
            case .fromCall(let value): .words("\(value)")
            case .template(let template): Text.template(template).speech
            }
        }
    }
}

extension Settings.Text {
    var speech: Speech {
        switch self {
        case .literal(let text): Speech(text)
        case .fromCall(let text): .words(text)
        case .template(let template): template.holdsCallValues ? .words(template.source) : Speech(template.source)
        }
    }
}
