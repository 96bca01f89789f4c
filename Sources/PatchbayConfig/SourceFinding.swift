extension SourceText {
    /// A finding about a stretch of the text, shown as those of the readers here are. For readers of documents beside the
    /// pipelines, whose rules go beyond ``settings(_:owner:environment:checkEnvironment:)``.
    ///
    /// - Parameters:
    ///   - range: Byte offsets, as ``JSONNode/range`` has them.
    ///   - path: The place in the document, for instance `tests[0].caller[2].say`.
    public func finding(
        _ code: Diagnostic.Code, _ range: Range<Int>, path: String, _ message: String,
        suggestion: Diagnostic.Suggestion? = nil, severity: Diagnostic.Severity = .error
    ) -> Diagnostic {
        let (line, column) = position(of: range.lowerBound)
        let hidden = credentialRanges()
        return Diagnostic(
            file: file, line: line, column: column, code, severity: severity, message, path: path,
            suggestion: suggestion, excerpt: excerpt(of: range, hiding: hidden)
        ).withoutCredentials(of: self, at: range, hidden)
    }
}

extension Diagnostic {
    /// Whether a key's name says that its value is a secret: `apiKey`, `auth_token`, `clientSecret`, `password`.
    public static func isCredentialName(_ key: String) -> Bool { looksLikeCredential(key) }
}

extension Settings {
    /// Every credential in it, and the value of every HTTP header: what must not be written down anywhere.
    public var secrets: [Secret] {
        values.values.flatMap { value -> [Secret] in
            switch value {
            case .secret(let secret): [secret]
            case .headers(let headers):
                headers.map { header in
                    switch header.value {
                    case .text(let text): Secret(text.asWritten)
                    case .secret(let secret): secret
                    }
                }
            case .object(let settings): settings.secrets
            case .list(let list): list.flatMap(\.secrets)
            case .text, .integer, .number, .boolean, .texts, .variables, .json: []
            }
        }
    }
}

extension PipelinePlan {
    /// Every credential of the call's transport, stages, agents and tools, and the value of every HTTP header.
    public var secrets: [Secret] {
        transport.settings.secrets + options.secrets + backends.flatMap(\.secrets)
            + (stagesBefore + stagesAfter).flatMap(\.secrets) + tools.flatMap(\.secrets)
    }
}

extension PipelinePlan.Backend {
    /// Every credential of the agent and its own tools, and the value of every HTTP header.
    public var secrets: [Secret] { settings.secrets + tools.flatMap(\.secrets) }
}

extension PlannedStage {
    fileprivate var secrets: [Secret] {
        settings.secrets + branches.flatMap { $0.stages.flatMap(\.secrets) }
    }
}
