public import PatchbayCore

extension PipelineDocument {
    /// A pipeline written in Swift: the same components, the same joints and the same checks as in a file.
    ///
    /// ```swift
    /// let desk = try PipelineDocument("desk", numbers: ["+15551234567"], transport: TwilioTransport()) {
    ///     Decoder()
    ///     Resampler().with("rateHz", 16000)
    ///     VAD()
    ///     ElevenLabsAgent().with("agentId", "agent_1").with("apiKey", Secret(key))
    ///     Encoder()
    /// }
    /// ```
    ///
    /// Costs about as much as the file would. Components need not be registered. What agents speak is spoken here, so make
    /// pipelines before calls come.
    ///
    /// - Parameters:
    ///   - name: Unique in its set: letters, digits, `-` and `_`.
    ///   - numbers: What it answers.
    ///   - variables: What `${name}` means where the number does not say otherwise.
    ///   - rules: What goes before the stages, as under `when` of a document.
    ///   - tools: What every agent may call.
    ///   - messages: What callers hear when something is in the way.
    ///   - latencyBudgetMs: Longest latency that the chain may declare, in milliseconds.
    ///   - registry: Where converters are found that are missing between two stages.
    ///   - environment: Variables for `${env.NAME}` and for settings that have a variable as their default.
    ///   - directory: Where relative paths in settings start.
    ///   - file: What listings show as its file.
    /// - Throws: ``InvalidPipeline`` with everything that is wrong, each with its place.
    public init(
        _ name: String, description: String? = nil, numbers: [NumberClaim] = [],
        variables: [String: VariableValue] = [:], rules: [SettingValue] = [], tools: [Tool] = [],
        transport: some TransportComponent, messages: Messages = Messages(), limits: CallLimits = CallLimits(),
        latencyBudgetMs: Int? = nil,
        registry: ComponentRegistry, environment: [String: String] = [:], directory: String = ".",
        file: String = #fileID, @PipelineBuilder stages: () throws -> [PipelineStage]
    ) throws {
        let transport = PipelineTransport(transport)
        var writer = PipelineWriter(registry)
        writer.begin([
            ("name", .string(name)), ("description", description.map { .string($0) }),
            ("numbers", numbers.isEmpty ? nil : .object(numbers.map { ($0.number, $0.variables.settingValue) })),
            ("variables", variables.isEmpty ? nil : variables.settingValue),
            ("when", rules.isEmpty ? nil : .list(rules)),
            (Self.latencyBudget.name, latencyBudgetMs.map { .integer($0) }),
            ("messages", messages.settingValue), ("limits", limits.settingValue),
        ])
        writer.write(transport)
        writer.end(try stages())

        let source = SourceText(file: directory == "." ? name : "\(directory)/\(name)", writer.text)
        let surroundings = Surroundings(
            variables: environment.merging(writer.secrets) { $1 }, isChecked: true)
        let linter = Linter(source, surroundings)
        var reader = DocumentReader(
            linter: linter, registry: registry.naming(transport.component, writer.stages, writer.agents), override: nil)
        let root: JSONNode
        do {
            root = try source.readJSON()
        } catch {
            throw InvalidPipeline(name, [writer.error(error)])
        }
        guard var document = reader.read(root) else {
            throw InvalidPipeline(name, linter.finish().filter { $0.severity == .error }.map { writer.error($0) })
        }
        document.file = file
        // A document writes whole units, and not all of them.
        document.limits = limits
        do throws(PipelineError) {
            try Tool.checkNames(of: tools)
        } catch {
            throw InvalidPipeline(name, [error])
        }
        document.functions = tools
        self = document
    }
}

/// A number that a pipeline written in Swift answers, with the variables that hold for it.
///
/// ```swift
/// numbers: ["+15551234567", "+4930*", NumberClaim("+15557654321", ["agentId": "agent_spa"])]
/// ```
public struct NumberClaim: Sendable, ExpressibleByStringLiteral {
    /// As documents write it: E.164, a prefix with a star, or the star alone.
    public var number: String
    /// What `${name}` means for it, before the pipeline's own variables.
    public var variables: [String: VariableValue]

    public init(_ number: String, _ variables: [String: VariableValue] = [:]) {
        self.number = number
        self.variables = variables
    }

    public init(stringLiteral value: String) { self.init(value) }
}

/// Everything that is wrong with pipelines that were written in Swift.
public struct InvalidPipeline: Error, CustomStringConvertible {
    /// The pipeline; empty when several do not fit together.
    public let pipeline: String
    /// The findings, in the order of the stages; ``PatchbayCore/PipelineError/place`` says `stages[1] (resampler)`.
    public let findings: [PipelineError]

    init(_ pipeline: String, _ findings: [PipelineError]) {
        self.pipeline = pipeline
        self.findings = findings
    }

    /// A line for each finding.
    public var description: String {
        let prefix = pipeline.isEmpty ? "" : "pipeline \(quoted(pipeline)), "
        return findings.map { prefix + $0.description }.joined(separator: "\n")
    }
}

extension PipelineSet {
    /// Puts pipelines together, whether they come from files or from Swift.
    ///
    /// - Throws: ``InvalidPipeline`` when two have one name, claim one number, or a rule names a pipeline that is not there.
    public init(documents: [PipelineDocument]) throws(InvalidPipeline) {
        var findings: [PipelineError] = []
        var names: Set<String> = []
        var claims: [NumberPattern: String] = [:]
        for document in documents {
            if !names.insert(document.name).inserted {
                findings.append(
                    PipelineError(
                        .init("duplicate-name"), "two pipelines are named \(quoted(document.name)); rename one of them",
                        place: document.file))
            }
            for number in document.numbers {
                if let other = claims.updateValue(document.name, forKey: number.pattern) {
                    findings.append(
                        PipelineError(
                            .init("duplicate-number"),
                            "\"\(number.pattern)\" is claimed twice: by pipeline \(quoted(other)) and by "
                                + "\(quoted(document.name)); leave it to one of them", place: document.file))
                }
            }
        }
        for document in documents { findings += Self.ruleFindings(of: document, among: documents) }
        guard findings.isEmpty else { throw InvalidPipeline("", findings) }
        self.init(documents)
    }

    /// Rules that lead nowhere, or to a pipeline whose variables a number of this one does not set.
    private static func ruleFindings(
        of document: PipelineDocument, among documents: [PipelineDocument]
    ) -> [PipelineError] {
        let known = Dictionary(documents.map { ($0.name, $0) }) { first, _ in first }
        var findings: [PipelineError] = []
        for (index, rule) in document.rules.enumerated() {
            guard case .pipeline(let name) = rule.outcome else { continue }
            let place = "\(document.file) when[\(index)]"
            guard known[name] != nil else {
                findings.append(
                    PipelineError(.init("unknown-pipeline"), "there is no pipeline \(quoted(name))", place: place))
                continue
            }
            let faults = document.numbers.lazy.compactMap { number in
                CallRuleCheck.fault(from: name, number.variables, known).map { (number, $0) }
            }
            if let (number, fault) = faults.first {
                findings.append(
                    PipelineError(
                        fault.error.code,
                        "called by \"\(number.pattern)\", pipeline \(quoted(fault.pipeline)) cannot answer: \(fault.error.message)",
                        place: place))
            }
        }
        return findings
    }
}

extension ComponentRegistry {
    /// The same registry with more components: what an author adds to the standard ones.
    ///
    /// - Throws: When a type is there already.
    public func adding(
        transports: [any TransportComponent] = [], stages: [any StageComponent] = [],
        agents: [any AgentComponent] = [], documentFields: [Field] = []
    ) throws(PipelineError) -> ComponentRegistry {
        try ComponentRegistry(
            transports: self.transports + transports, stages: self.stages + stages, agents: self.agents + agents,
            documentFields: self.documentFields + documentFields, checkSpeech: checkSpeech,
            findConverters: findConverters)
    }
}

extension Messages {
    /// As a document has them; `nil` when none is set.
    fileprivate var settingValue: SettingValue? {
        var members = Key.allCases.compactMap { key in
            self[key].map { (key: key.rawValue, value: SettingValue.string($0)) }
        }
        for (name, text) in [("language", voice.language), ("voice", voice.voice)] {
            if let text { members.append((key: name, value: .string(text))) }
        }
        return members.isEmpty ? nil : .object(members)
    }
}

extension CallLimits {
    /// Those that a document may set and that are not the usual ones, in whole units, so that their ranges are checked.
    fileprivate var settingValue: SettingValue? {
        let usual = CallLimits()
        func whole(_ span: TimeSpan, of unit: TimeSpan) -> SettingValue {
            let (units, rest) = span.nanoseconds.quotientAndRemainder(dividingBy: unit.nanoseconds)
            return .integer(Int(units) + (rest > 0 ? 1 : 0))
        }
        var members: [(key: String, value: SettingValue)] = []
        let spans: [(name: String, span: TimeSpan, usual: TimeSpan, unit: TimeSpan)] = [
            ("maximumCallSeconds", maximumDuration, usual.maximumDuration, .seconds(1)),
            ("idleSeconds", idle, usual.idle, .seconds(1)),
            ("agentReadySeconds", agentReady, usual.agentReady, .seconds(1)),
            ("leadMs", lead, usual.lead, .milliseconds(1)),
        ]
        for limit in spans where limit.span != limit.usual {
            members.append((limit.name, whole(limit.span, of: limit.unit)))
        }
        return members.isEmpty ? nil : .object(members)
    }
}
