import Foundation

/// The name of the file with the server's own settings.
let serverSettingsFile = "server.json"

extension PipelineSet {
    /// The documents that files and folders stand for, each once.
    static func documentFiles(_ paths: [String], _ diagnostics: inout [Diagnostic]) -> [String] {
        var files: [String] = []
        var seen: Set<String> = []
        func add(_ file: String) {
            if seen.insert(URL(fileURLWithPath: file).standardizedFileURL.path).inserted { files.append(file) }
        }
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                diagnostics.append(Diagnostic(file: path, .unreadableFile, "there is no such file or folder"))
                continue
            }
            guard isFolder.boolValue else {
                add(path)
                continue
            }
            guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
                diagnostics.append(Diagnostic(file: path, .unreadableFile, "the folder cannot be read"))
                continue
            }
            let folder = path.hasSuffix("/") ? String(path.dropLast()) : path
            let documents = names.filter(isDocument).sorted().map { "\(folder)/\($0)" }.filter { !isDirectory($0) }
            if documents.isEmpty {
                diagnostics.append(
                    Diagnostic(
                        file: path, .noDocuments, severity: .warning, "the folder holds no pipeline",
                        suggestion: .init("put files there that end in .json")))
            }
            documents.forEach(add)
        }
        return files
    }

    /// The `tenants.json` of each folder that has one.
    static func tenantSources(_ paths: [String], _ diagnostics: inout [Diagnostic]) -> [SourceText] {
        paths.filter(isDirectory).compactMap { path in
            let file = "\(path.hasSuffix("/") ? String(path.dropLast()) : path)/\(TenantList.fileName)"
            guard FileManager.default.fileExists(atPath: file) else { return nil }
            switch SourceText.read(file) {
            case .success(let source): return source
            case .failure(let fault):
                diagnostics.append(fault)
                return nil
            }
        }
    }

    private static func isDocument(_ name: String) -> Bool {
        name.hasSuffix(".json") && !name.hasSuffix(".test.json") && !name.hasSuffix(".fragment.json")
            && name != serverSettingsFile && name != TenantList.fileName && !name.hasPrefix(".")
    }

    private static func isDirectory(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}

/// Whether two paths lead to one file.
func isSameFile(_ one: String, _ other: String) -> Bool {
    func resolved(_ path: String) -> String {
        URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
    }
    return resolved(one) == resolved(other)
}

extension SourceText {
    /// Reads a file of at most ``maximumBytes``.
    public static func read(_ file: String) -> Result<SourceText, Diagnostic> {
        switch readFile(file, limit: maximumBytes) {
        case .success(let bytes): .success(SourceText(file: file, bytes: bytes))
        case .failure(let fault):
            .failure(fault.diagnostic(file))
        }
    }

    /// Reads the text as one object that `fields` describe.
    ///
    /// For documents beside the pipelines; nothing but `${env.NAME}` is substituted in them.
    ///
    /// - Parameters:
    ///   - owner: What the document is, for messages: `a test`.
    ///   - keepingSoundParts: Whether a document with errors gives the settings in it that are sound, for a reader who looks for
    ///     further mistakes. An element of a list that is no object is an object without settings then.
    /// - Returns: The settings, or `nil` when there is any error, with all findings.
    public func settings(
        _ fields: [Field], owner: String, environment: [String: String] = [:], checkEnvironment: Bool = true,
        keepingSoundParts: Bool = false
    ) -> (settings: Settings?, diagnostics: [Diagnostic]) {
        let linter = Linter(self, Surroundings(variables: environment, isChecked: checkEnvironment))
        linter.variables = .environment
        linter.keepsSoundParts = keepingSoundParts
        guard let members = linter.rootMembers(owner) else { return (nil, linter.finish()) }
        let settings = linter.settings(
            members.members, of: members.root, fields: fields, owner: owner, .root, ignoring: ["$schema"])
        let diagnostics = linter.finish()
        return (diagnostics.hasErrors && !keepingSoundParts ? nil : settings, diagnostics)
    }
}

extension Linter {
    /// Reads the source as an object; reports syntax, duplicate keys and other roots.
    func rootMembers(_ owner: String) -> (root: JSONNode, members: [JSONMember])? {
        do {
            let root = try source.readJSON()
            checkDuplicateKeys(root)
            if case .object(let members) = root.content { return (root, members) }
            report(.wrongType, root.headRange, .root, "\(owner) is an object, not \(root.kind)")
        } catch {
            report(error)
        }
        return nil
    }
}
