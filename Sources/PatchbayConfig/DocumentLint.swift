import Foundation

/// Checks files of every kind that stand in a project: pipelines, fragments, tests, `server.json`, `tenants.json`, and the
/// JSON in Markdown.
///
/// A file is what its name says (`server.json`, `tenants.json`, `*.test.json`, `*.fragment.json`, `*.md`), and any other a pipeline. In a
/// folder, all of that is looked for, but not in the folders within it. A file that is named itself is a
/// fragment also when it has `stages` but neither a name nor a transport; if it is a pipeline, those beside it that its rules
/// lead to are checked too. All pipelines that are checked together are one set, whose names and numbers must not collide.
///
/// In Markdown, the blocks of ```` ```json ```` are checked in place. Each is a set of its own, so that two examples may
/// use one number. A block with `stages` and a name is a pipeline, one with `stages` alone a fragment, one with `tests` a
/// test; any other only has to be JSON. The files that a block names need not be there. ```` ```json ignore ```` is left alone.
public struct DocumentLint: Sendable {
    /// Checks a test file, which this module knows nothing about.
    public typealias TestCheck = @Sendable (SourceText) -> [Diagnostic]

    private let registry: ComponentRegistry
    private let environment: [String: String]
    private let options: LoadOptions
    private let checkTest: TestCheck

    /// - Parameter checkTest: Without one, test files only have to be JSON.
    public init(
        registry: ComponentRegistry, environment: [String: String], options: LoadOptions = LoadOptions(),
        checkTest: @escaping TestCheck = { $0.checkJSON() }
    ) {
        self.registry = registry
        self.environment = environment
        self.options = options
        self.checkTest = checkTest
    }

    /// Checks files and folders.
    ///
    /// - Parameter progress: Called before each file with the number of those before it, and of all.
    /// - Returns: Everything that was found, in the order of the files.
    public func check(_ paths: [String], progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) -> LintReport {
        var report = LintReport()
        var found: [Diagnostic] = []
        let files = Self.files(paths, &found)
        report.add(found)
        var pipelines: [SourceText] = []
        var named: Set<String> = []
        for (index, (file, isFromFolder)) in files.enumerated() {
            progress(index, files.count)
            switch SourceText.read(file) {
            case .failure(let fault): report.add([fault], of: file)
            case .success(let source):
                if Self.isMarkdown(file) {
                    report.add(checkMarkdown(source), of: file)
                    continue
                }
                switch kind(of: source, byContent: !isFromFolder) {
                // Pipelines wait for one another: their names and numbers are compared; tenants name them.
                case .pipeline, .tenants:
                    pipelines.append(source)
                    if !isFromFolder { named.insert(file) }
                    report.add([], of: file)
                case .fragment: report.add(checkFragment(source), of: file)
                case .test: report.add(checkTest(source), of: file)
                case .server:
                    let checked = ServerSettings.load(
                        source, environment: environment, checkEnvironment: options.checkEnvironment)
                    report.add(checked.diagnostics, of: file)
                }
            }
        }
        pipelines += Companions(of: pipelines, named: named).sources
        if !pipelines.isEmpty || options.agentOverride != nil { report.add(load(pipelines)) }
        return report
    }

    // MARK: Files

    static func isMarkdown(_ file: String) -> Bool {
        let name = file.lowercased()
        return name.hasSuffix(".md") || name.hasSuffix(".markdown")
    }

    /// The files that files and folders stand for, each once.
    private static func files(
        _ paths: [String], _ diagnostics: inout [Diagnostic]
    ) -> [(file: String, isFromFolder: Bool)] {
        var files: [(file: String, isFromFolder: Bool)] = []
        var seen: Set<String> = []
        for path in paths {
            var names = [path]
            let isFolder = isDirectory(path)
            if isFolder {
                guard let content = try? FileManager.default.contentsOfDirectory(atPath: path) else {
                    diagnostics.append(Diagnostic(file: path, .unreadableFile, "the folder cannot be read"))
                    continue
                }
                // As includes name them.
                let folder = path == "." || path == "./" ? "" : path.hasSuffix("/") ? path : path + "/"
                names = content.filter { !$0.hasPrefix(".") && ($0.hasSuffix(".json") || isMarkdown($0)) }.sorted()
                    .map { folder + $0 }.filter { !isDirectory($0) }
                if names.isEmpty {
                    diagnostics.append(
                        Diagnostic(
                            file: path, .noDocuments, severity: .warning, "the folder holds no document",
                            suggestion: .init("put files there that end in .json")))
                }
            }
            for name in names where seen.insert(URL(fileURLWithPath: name).standardizedFileURL.path).inserted {
                files.append((name, isFolder))
            }
        }
        return files
    }

    /// The folders within folders that hold JSON: each may be a deployment of its own, whose names and numbers another may
    /// have too. They are not looked into.
    ///
    /// - Returns: Their paths in alphabetical order, without those that are among `paths` themselves.
    public static func foldersLeftOut(of paths: [String]) -> [String] {
        func resolved(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
        let named = Set(paths.map(resolved))
        var found: Set<String> = []
        for path in paths where isDirectory(path) {
            let folder = path == "." || path == "./" ? "" : path.hasSuffix("/") ? path : path + "/"
            for name in content(of: path) where !name.hasPrefix(".") {
                let inner = folder + name
                guard isDirectory(inner), !named.contains(resolved(inner)) else { continue }
                if content(of: inner).contains(where: { $0.hasSuffix(".json") }) { found.insert(inner) }
            }
        }
        return found.sorted()
    }

    private static func content(of folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    private static func isDirectory(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    // MARK: Documents

    /// A server takes every file of its folder for a pipeline whose name says nothing else, and so must its lint.
    private func kind(of source: SourceText, byContent: Bool) -> DocumentKind {
        if let kind = DocumentKind(file: source.file) { return kind }
        // What cannot be read is reported where pipelines are.
        guard byContent, let root = try? source.readJSON() else { return .pipeline }
        return DocumentKind(content: root) == .fragment ? .fragment : .pipeline
    }

    private func load(_ sources: [SourceText], otherPipelines: Set<String> = []) -> [Diagnostic] {
        var options = options
        options.otherPipelines.formUnion(otherPipelines)
        return PipelineSet.load(sources: sources, registry: registry, environment: environment, options: options)
            .diagnostics
    }

    private func checkFragment(_ source: SourceText) -> [Diagnostic] {
        PipelineSet.checkFragment(source, registry: registry, environment: environment, options: options)
    }

    // MARK: Markdown

    /// Checks the JSON in a Markdown file.
    func checkMarkdown(_ source: SourceText) -> [Diagnostic] {
        let blocks = source.jsonBlocks()
        // The files that an example names need not be there.
        var diagnostics = blocks.flatMap(check).filter { $0.code != .unreadableFile || $0.path.isEmpty }
        if blocks.count == SourceText.maximumBlocks {
            diagnostics.append(
                Diagnostic(
                    file: source.file, .limitExceeded, severity: .warning,
                    "only the first \(SourceText.maximumBlocks) blocks of JSON are checked"))
        }
        return diagnostics
    }

    private func check(_ block: MarkdownBlock) -> [Diagnostic] {
        guard !block.isBlank else {
            return [
                Diagnostic(
                    file: block.source.file, line: block.line, column: 1, .syntax,
                    "the block that begins here is empty",
                    suggestion: .init("write a JSON value, or `json ignore` after the fence"))
            ]
        }
        guard let root = try? block.source.readJSON(), let kind = DocumentKind(content: root) else {
            return block.source.checkJSON()
        }
        switch kind {
        // The pipelines that an example's rules lead to need not be shown.
        case .pipeline, .server: return load([block.source], otherPipelines: root.pipelinesOfRules)
        case .tenants: return TenantList.load([block.source], pipelines: nil).diagnostics
        case .fragment: return checkFragment(block.source)
        case .test: return checkTest(block.source)
        }
    }
}

extension SourceText {
    /// Checks that the text is JSON, that no key is written twice, and that no credential stands in it.
    public func checkJSON() -> [Diagnostic] {
        let linter = Linter(self, Surroundings(variables: [:], isChecked: false))
        do {
            linter.checkDuplicateKeys(try readJSON())
        } catch {
            linter.report(error)
        }
        return linter.finish()
    }
}
