/// One finding about a document: where, what, what is allowed, and what to do next.
///
/// Codes and positions are stable and fit for tests and tools; the prose may improve. A diagnostic never holds the
/// value of a credential.
public struct Diagnostic: Error, Hashable, Sendable {
    /// Errors keep a document from being used; warnings do not.
    public enum Severity: String, Hashable, Sendable { case error, warning }

    /// A stable name for the kind of finding.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The name, as it is printed: `unknown-field`.
        public let description: String
        public init(_ name: String) { self.description = name }
    }

    /// What to do about it.
    public struct Suggestion: Hashable, Sendable {
        /// For people: `did you mean "silenceMs"? fields here: minimumSpeechMs, silenceMs`.
        public var text: String
        /// What to write instead, when one word is meant; `nil` when the remedy is a sentence.
        public var replacement: String?

        public init(_ text: String, replacement: String? = nil) {
            self.text = text
            self.replacement = replacement
        }
    }

    /// The source line, with the stretch that the carets mark.
    public struct Excerpt: Hashable, Sendable {
        /// The line without its end; a long one is cut to the neighbourhood of the carets.
        public var text: String
        /// Unicode scalars before the first caret.
        public var leading: Int
        /// Number of carets, at least 1.
        public var length: Int
    }

    /// The file as the user named it; empty when the finding belongs to none.
    public var file: String
    /// From 1; 0 when the finding concerns the file as a whole.
    public var line: Int
    /// From 1, in Unicode scalars; 0 when the finding concerns the file as a whole.
    public var column: Int
    /// The kind of finding.
    public var code: Code
    /// Whether it keeps the document from being used.
    public var severity: Severity
    /// What is wrong and what is allowed, with the actual values in it.
    public var message: String
    /// Where in the document: `stages[2].silenceMs`. Empty for the document itself.
    public var path: String
    /// Who includes the file, when it is a fragment: `Pipelines/salon.json:7:5`.
    public var includedFrom: String?
    /// What to do next, when that is known.
    public var suggestion: Suggestion?
    /// The source line, when there is one to show.
    public var excerpt: Excerpt?
    /// The file that is missing or cannot be read, where another one names it: a fragment.
    public var neededFile: String?

    public init(
        file: String, line: Int = 0, column: Int = 0, _ code: Code, severity: Severity = .error, _ message: String,
        path: String = "", includedFrom: String? = nil, suggestion: Suggestion? = nil, excerpt: Excerpt? = nil,
        neededFile: String? = nil
    ) {
        self.file = file
        self.line = line
        self.column = column
        self.code = code
        self.severity = severity
        self.message = message
        self.path = path
        self.includedFrom = includedFrom
        self.suggestion = suggestion
        self.excerpt = excerpt
        self.neededFile = neededFile
    }
}

extension Diagnostic.Code {
    /// The text is not JSON (RFC 8259).
    public static let syntax = Self("syntax")
    /// The file cannot be read, or is no UTF-8.
    public static let unreadableFile = Self("unreadable-file")
    /// A named limit of the reader was hit: size, depth, or the number of findings.
    public static let limitExceeded = Self("limit-exceeded")
    /// A key that its object does not have.
    public static let unknownField = Self("unknown-field")
    /// A key that its object has already.
    public static let duplicateKey = Self("duplicate-key")
    /// A required key is absent; reported at the opening brace.
    public static let missingField = Self("missing-field")
    /// A value of another JSON type than the field takes.
    public static let wrongType = Self("wrong-type")
    /// A number outside its field's range.
    public static let outOfRange = Self("out-of-range")
    /// A word that is not among those allowed.
    public static let notAllowed = Self("not-allowed")
    /// A name that breaks the rules for names.
    public static let badName = Self("bad-name")
    /// No component is registered under that type.
    public static let unknownType = Self("unknown-type")
    /// An environment variable or file that holds a secret is missing.
    public static let missingCredential = Self("missing-credential")
    /// A secret stands in the document itself.
    public static let plainSecret = Self("plain-secret")
    /// A `${…}` that refers to nothing, or is malformed.
    public static let unknownVariable = Self("unknown-variable")
    /// A `${env.…}` whose variable is not set.
    public static let missingEnvironment = Self("missing-environment")
    /// No E.164 number, prefix or star.
    public static let badNumber = Self("bad-number")
    /// Two places claim one number.
    public static let duplicateNumber = Self("duplicate-number")
    /// Two pipelines have one name.
    public static let duplicateName = Self("duplicate-name")
    /// Two places claim one path of the server.
    public static let duplicatePath = Self("duplicate-path")
    /// Two neighbours in a chain do not agree on the audio format.
    public static let formatMismatch = Self("format-mismatch")
    /// No agent among the stages.
    public static let missingAgent = Self("missing-agent")
    /// More than one agent stage.
    public static let duplicateAgent = Self("duplicate-agent")
    /// A fragment that includes itself, or too many in one another.
    public static let includeCycle = Self("include-cycle")
    /// A parameter of a fragment that has no value.
    public static let missingParameter = Self("missing-parameter")
    /// A value that no case of a switch covers.
    public static let missingCase = Self("missing-case")
    /// A pipeline that cannot be used although no check says why.
    public static let unusable = Self("unusable")
    /// A case that no value leads to.
    public static let unreachableCase = Self("unreachable-case")
    /// An agent behind one that never fails.
    public static let unreachableAgent = Self("unreachable-agent")
    /// The chain declares more delay than the document allows.
    public static let latencyBudget = Self("latency-budget")
    /// A list that must hold something is empty.
    public static let emptyList = Self("empty-list")
    /// A folder without any document.
    public static let noDocuments = Self("no-documents")
}

extension Sequence<Diagnostic> {
    /// Whether anything in it forbids the document from being used.
    public var hasErrors: Bool { contains { $0.severity == .error } }
}
