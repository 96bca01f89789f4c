import Foundation

extension PipelineSet {
    /// Checks a document that somebody sent, as if it stood beside the pipelines of the set, or took the place of the one that
    /// is in its file.
    ///
    /// A stranger must not learn from the findings what the machine has. So the document may only include the fragments that the
    /// set includes; files that components open, such as sounds, must lie in the folders of the set's pipelines and fragments;
    /// no file is read as a secret; and nothing says which environment variables are set. Components that a host brings along
    /// keep to this by ``Field/isPath`` and ``Settings/speech(_:)``.
    ///
    /// Bounded by the reader's own limits.
    ///
    /// - Parameters:
    ///   - source: With the file name that it would have.
    ///   - environment: The variables that secrets and `${env.NAME}` come from.
    /// - Returns: All findings.
    public func check(
        _ source: SourceText, registry: ComponentRegistry, environment: [String: String],
        options: LoadOptions = LoadOptions()
    ) -> [Diagnostic] {
        var options = options
        options.checkEnvironment = false
        let others = documents.filter { $0.file != source.file }
        options.otherPipelines.formUnion(others.map(\.name))
        for document in others {
            for number in document.numbers { options.otherNumbers[number.pattern] = document.name }
        }
        options.fragments = Set(documents.flatMap(\.fragments)).compactMap { try? SourceText.read($0).get() }
        options.fileFolders = Set(documents.flatMap(\.folders)).sorted()
        return Self.load(sources: [source], registry: registry, environment: environment, options: options).diagnostics
    }
}

extension PipelineDocument {
    /// The folders of its file and of the fragments that it includes.
    var folders: Set<String> {
        Set(
            ([file] + fragments).map { file in
                guard let slash = file.lastIndex(of: "/") else { return "." }
                return slash == file.startIndex ? "/" : String(file[..<slash])
            })
    }
}

extension Linter {
    /// Reports a value that names a file outside of the folders that a stranger's document may use.
    ///
    /// - Parameter directory: Where its relative paths start.
    /// - Returns: Whether it does. The component must not see it then.
    func reportStrangeFile(
        in value: Settings.Value, _ field: Field, _ node: JSONNode, from directory: String, owner: String,
        _ path: DocumentPath
    ) -> Bool {
        guard let folders = surroundings.fileFolders,
            value.paths(isPath: field.isPath).contains(where: { !isInside($0, of: folders, from: directory) })
        else { return false }
        report(
            .notAllowed, node.headRange, path,
            "\(owner): \(quoted(field.name)) names a file outside of the folders of the pipelines in force",
            .init("put the file there, and name it from the folder of the document"))
        return true
    }

    /// Whether a path leads into one of the folders.
    func isInside(_ file: String, of folders: [String], from directory: String) -> Bool {
        // What a variable of a stranger's document makes of a path is not known before the call.
        guard !file.contains("${") else { return false }
        // Through symbolic links: what they lead to is what would be opened.
        func components(_ path: String) -> [String] {
            URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().pathComponents
        }
        let target = components(file.hasPrefix("/") ? file : "\(directory)/\(file)")
        return folders.contains { target.starts(with: components($0)) }
    }
}

extension Settings.Value {
    /// The paths in it, as they are written: of a field that is one, and of texts that are heard, which are paths when they end
    /// in `.wav`. Objects within have fields of their own.
    fileprivate func paths(isPath: Bool) -> [String] {
        let texts: [String] =
            switch self {
            case .text(let text): [text.asWritten]
            case .texts(let texts): texts.map(\.asWritten)
            case .variables(let variables):
                variables.values.map { variable in
                    switch variable {
                    case .value(let value), .fromCall(let value): "\(value)"
                    case .template(let template): template.source
                    }
                }
            case .object, .list, .integer, .number, .boolean, .secret, .headers, .json: []
            }
        return texts.filter { isPath || Speech($0) == .file($0) }
    }
}
