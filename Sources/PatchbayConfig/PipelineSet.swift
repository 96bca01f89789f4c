public import PatchbayCore

/// What a load may assume.
public struct LoadOptions: Sendable {
    /// Whether unset variables and unreadable secret files are errors.
    public var checkEnvironment: Bool
    /// The type of an agent that takes the place of every document's backends, with its default settings.
    public var agentOverride: String?
    /// The fragments that documents may include, by their names as documents reach them; `nil` reads them from disk. For
    /// documents of strangers, who must not have the server read its files for them.
    public var fragments: [SourceText]?
    /// Names of pipelines that rules may lead to although they are not read now.
    public var otherPipelines: Set<String>
    /// Numbers that pipelines claim which are not read now, with the names of these.
    public var otherNumbers: [NumberPattern: String] = [:]
    /// The folders that files lie in which components may open, such as sounds; `nil` for all. For documents of strangers:
    /// secrets must lie there too, and are not read when the environment is not checked; and what `${…}` becomes is never taken
    /// for a path.
    public var fileFolders: [String]?

    public init(
        checkEnvironment: Bool = true, agentOverride: String? = nil, fragments: [SourceText]? = nil,
        otherPipelines: Set<String> = []
    ) {
        self.checkEnvironment = checkEnvironment
        self.agentOverride = agentOverride
        self.fragments = fragments
        self.otherPipelines = otherPipelines
    }
}

/// The pipelines that are in force together, and the numbers they answer. A value: a reload makes a new one.
public struct PipelineSet: Sendable {
    /// In the order of their files.
    public let documents: [PipelineDocument]
    /// Whose numbers are called, as `tenants.json` has it.
    public let tenants: TenantList
    private let table: NumberTable<Claim>
    private let places: [String: Int]

    private struct Claim: Sendable {
        var document: Int
        var pattern: NumberPattern
        var variables: [String: VariableValue]
        var environmentTexts: [String: String]
    }

    init(_ documents: [PipelineDocument], tenants: TenantList = .none) {
        self.documents = documents
        self.tenants = tenants
        var table = NumberTable<Claim>()
        for (index, document) in documents.enumerated() {
            for number in document.numbers {
                let claim = Claim(
                    document: index, pattern: number.pattern, variables: number.variables,
                    environmentTexts: number.environmentTexts)
                table.insert(claim, for: number.pattern)
            }
        }
        self.table = table
        places = Dictionary(documents.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The document of that name. Costs one look-up.
    /// The folders that its pipelines write recordings to.
    public var recordingFolders: Set<String> {
        var folders: Set<String> = []
        for variant in documents.lazy.flatMap(\.variants) {
            for stage in (variant.chain.before + variant.chain.after).withBranches {
                guard let folder = (stage.component as? any TapComponent)?.folder(stage.settings) else { continue }
                folders.insert(folder)
            }
        }
        return folders
    }

    public func document(named name: String) -> PipelineDocument? { places[name].map { documents[$0] } }

    /// The pipeline for a called number: the one that names it, else that of its longest prefix, else that of the star.
    ///
    /// Costs at most sixteen look-ups, however many numbers there are.
    public func route(_ number: String) -> Route? {
        guard let claim = table.value(for: number) else { return nil }
        return Route(
            document: documents[claim.document], numberPattern: claim.pattern, variables: claim.variables,
            environmentTexts: claim.environmentTexts)
    }
}

extension PipelineSet {
    /// The pipeline of that name for a number, whoever answers the number: for calls that somebody dials.
    ///
    /// - Returns: `nil` when there is none of that name.
    public func route(_ number: String, by pipeline: String) -> Route? {
        guard let document = document(named: pipeline) else { return nil }
        if var route = route(number), route.document.name == pipeline {
            route.document = document
            return route
        }
        return Route(document: document, numberPattern: .any, variables: [:])
    }
}

/// Where a called number leads.
public struct Route: Sendable {
    /// The pipeline that answers.
    public var document: PipelineDocument
    /// What in the document matched.
    public var numberPattern: NumberPattern
    /// The variables that the document sets for it.
    public var variables: [String: VariableValue]
    /// Those that hold values of the environment, as they are written.
    var environmentTexts: [String: String] = [:]

    /// The same with other values for some of its variables.
    public func setting(_ values: [String: VariableValue]) -> Route {
        guard !values.isEmpty else { return self }
        var route = self
        route.variables.merge(values) { $1 }
        for name in values.keys { route.environmentTexts[name] = nil }
        return route
    }

    /// Everything that one call needs.
    ///
    /// - Throws: When a text refers to a variable that is not set, which the checks of documents exclude.
    public func plan(for call: CallVariables) throws(PipelineError) -> PipelinePlan {
        try document.plan(for: call, variables: variables)
    }
}

extension PipelineSet {
    /// Reads pipelines from files and folders.
    ///
    /// A folder stands for its `*.json` in the order of their names, without `*.test.json`, `server.json` and folders
    /// in it; its `tenants.json` says whose the numbers are. A file stands for its pipeline, followed by those beside it that its rules lead to. Cost is linear in the text. Reads files that the documents name as secrets.
    ///
    /// - Parameters:
    ///   - paths: Files and folders; diagnostics name files below them in the same way.
    ///   - environment: The variables that secrets and `${env.NAME}` come from.
    /// - Returns: The set, or `nil` when there is any error, with all findings: first the files that cannot be read,
    ///   then those of each file in the order of its lines.
    public static func load(
        _ paths: [String], registry: ComponentRegistry, environment: [String: String],
        options: LoadOptions = LoadOptions()
    ) -> (set: PipelineSet?, diagnostics: [Diagnostic]) {
        var diagnostics: [Diagnostic] = []
        var sources: [SourceText] = []
        for file in documentFiles(paths, &diagnostics) {
            switch SourceText.read(file) {
            case .success(let source): sources.append(source)
            case .failure(let diagnostic): diagnostics.append(diagnostic)
            }
        }
        var named: Set<String> = []
        for path in paths where sources.contains(where: { $0.file == path }) { named.insert(path) }
        sources += Companions(of: sources, named: named).sources
        sources += tenantSources(paths, &diagnostics)
        let (set, findings) = load(sources: sources, registry: registry, environment: environment, options: options)
        diagnostics += findings
        return (diagnostics.hasErrors ? nil : set, diagnostics)
    }

    /// Reads pipelines from one file or folder.
    public static func load(
        _ path: String, registry: ComponentRegistry, environment: [String: String], options: LoadOptions = LoadOptions()
    ) -> (set: PipelineSet?, diagnostics: [Diagnostic]) {
        load([path], registry: registry, environment: environment, options: options)
    }

    /// Reads pipelines from texts; their file names only serve diagnostics and relative paths.
    public static func load(
        sources: [SourceText], registry: ComponentRegistry, environment: [String: String],
        options: LoadOptions = LoadOptions()
    ) -> (set: PipelineSet?, diagnostics: [Diagnostic]) {
        var diagnostics: [Diagnostic] = []
        let surroundings = Surroundings(
            variables: environment, isChecked: options.checkEnvironment, fragments: options.fragments,
            fileFolders: options.fileFolders)
        var override: PipelineDocument.Choice<any AgentComponent>?
        if let type = options.agentOverride {
            switch overridingAgent(type, registry, surroundings) {
            case .success(let choice): override = choice
            case .failure(let fault): diagnostics.append(fault)
            }
        }
        var crossCheck = CrossCheck(otherNumbers: options.otherNumbers)
        var ruleCheck = CallRuleCheck()
        let tenantSources = sources.filter { DocumentKind(file: $0.file) == .tenants }
        let sources = sources.filter { DocumentKind(file: $0.file) != .tenants }
        var linters: [Linter] = []
        var documents: [PipelineDocument] = []
        for source in sources {
            let linter = Linter(source, surroundings)
            linters.append(linter)
            do {
                let root = try source.readJSON()
                var reader = DocumentReader(linter: linter, registry: registry, override: override)
                let document = reader.read(root)
                if let document { documents.append(document) }
                crossCheck.add(reader)
                ruleCheck.entries.append(
                    .init(
                        linter: linter, name: reader.name?.text, references: reader.references, document: document))
            } catch {
                linter.report(error)
            }
        }
        ruleCheck.report(
            names: crossCheck.pipelines.union(options.otherPipelines),
            isComplete: crossCheck.pipelines.count == sources.count)
        // An override keeps the backends, and what they refer to, from being read.
        if override == nil { ruleCheck.reportUnusedVariables() }
        // A fragment's mistake is one mistake, however many documents include it.
        var seen: Set<Diagnostic> = []
        for diagnostic in linters.flatMap({ $0.finish() }) {
            var known = diagnostic
            known.includedFrom = nil
            if seen.insert(known).inserted { diagnostics.append(diagnostic) }
        }
        let names = crossCheck.pipelines.union(options.otherPipelines)
        let isComplete = !sources.isEmpty && crossCheck.pipelines.count == sources.count
        let (tenants, tenantFindings) = TenantList.load(tenantSources, pipelines: isComplete ? names : nil)
        diagnostics += tenantFindings
        guard let tenants, !diagnostics.hasErrors else { return (nil, diagnostics) }
        return (PipelineSet(documents, tenants: tenants), diagnostics)
    }

    private static func overridingAgent(
        _ type: String, _ registry: ComponentRegistry, _ surroundings: Surroundings
    ) -> Result<PipelineDocument.Choice<any AgentComponent>, Diagnostic> {
        guard let agent = registry.agent(type) else {
            return .failure(
                Diagnostic(
                    file: "", .unknownType, "there is no agent \(quoted(type)) to override the backends with",
                    suggestion: .closest(of: registry.types(.agent), for: type, label: "agents")))
        }
        // An empty object in place of a document's says what the agent would miss without settings.
        let linter = Linter(SourceText(file: "", "{}"), surroundings)
        let node = JSONNode(.object([]), range: 0..<2)
        let settings = linter.settings(
            [], of: node, fields: agent.spec.fields, owner: "the overriding agent \"\(type)\"", .root)
        if let settings { return .success(.init(component: agent, settings: settings)) }
        let finding = linter.finish().first { $0.severity == .error }
        return .failure(
            Diagnostic(
                file: "", finding?.code ?? .missingField,
                finding?.message ?? "the agent \(quoted(type)) cannot do without settings",
                suggestion: finding?.suggestion))
    }
}

/// What no two documents may have in common.
private struct CrossCheck {
    /// Of pipelines that are not read now.
    private let otherNumbers: [NumberPattern: String]
    private var names: [String: (linter: Linter, range: Range<Int>)] = [:]
    private var numbers: [NumberPattern: (linter: Linter, range: Range<Int>, pipeline: String?)] = [:]

    init(otherNumbers: [NumberPattern: String]) { self.otherNumbers = otherNumbers }

    /// The names of the pipelines.
    var pipelines: Set<String> { Set(names.keys) }

    mutating func add(_ reader: DocumentReader) {
        let linter = reader.linter
        if let name = reader.name {
            if let first = names[name.text] {
                linter.report(
                    .duplicateName, name.range, DocumentPath.root.key("name"),
                    "another pipeline is named \(quoted(name.text)) too, at \(first.linter.place(of: first.range))",
                    .init("rename one of them"))
            } else {
                names[name.text] = (linter, name.range)
            }
        }
        for claim in reader.claims {
            let owner: String
            if let first = numbers[claim.pattern] {
                let name = first.pipeline.map { "pipeline \(quoted($0))" } ?? "another pipeline"
                owner = "\(name) at \(first.linter.place(of: first.range))"
            } else if let other = otherNumbers[claim.pattern] {
                owner = "pipeline \(quoted(other)), which is in force"
            } else {
                numbers[claim.pattern] = (linter, claim.range, reader.name?.text)
                continue
            }
            linter.report(
                .duplicateNumber, claim.range, claim.path,
                "\(quoted(claim.pattern.description)) is claimed twice: also by \(owner)",
                .init("leave it to one of them"))
        }
    }
}
