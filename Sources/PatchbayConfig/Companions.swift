import Foundation

/// The pipelines beside a file that its rules lead to, and those that these lead to.
///
/// Who names one file of a folder means that pipeline, but its rules may send a call to another one. Folders need none of
/// this: all of their pipelines are read.
struct Companions {
    private var known: Set<String> = []
    private var isRead: Set<String> = []
    private(set) var sources: [SourceText] = []

    /// - Parameters:
    ///   - sources: All that is read already.
    ///   - files: Those of them that were named themselves.
    init(of sources: [SourceText], named files: Set<String>) {
        let roots = sources.map { try? $0.readJSON() }
        known = Set(roots.compactMap { $0?.pipelineName })
        isRead = Set(sources.map { Self.identity(of: $0.file) })
        for (source, root) in zip(sources, roots) where files.contains(source.file) {
            guard let root else { continue }
            add(ledToBy: root, in: source.directory)
        }
    }

    private mutating func add(ledToBy root: JSONNode, in directory: String) {
        var missing = root.pipelinesOfRules.subtracting(known)
        guard !missing.isEmpty else { return }
        var neighbours: [(name: String, source: SourceText, root: JSONNode)] = []
        var faults: [Diagnostic] = []
        for file in PipelineSet.documentFiles([directory], &faults) {
            let file = directory == "." && file.hasPrefix("./") ? String(file.dropFirst(2)) : file
            guard !isRead.contains(Self.identity(of: file)), let source = try? SourceText.read(file).get(),
                let root = try? source.readJSON(), let name = root.pipelineName
            else { continue }
            neighbours.append((name, source, root))
        }
        while !missing.isEmpty {
            let found = neighbours.filter {
                missing.contains($0.name) && !isRead.contains(Self.identity(of: $0.source.file))
            }
            known.formUnion(missing)
            missing = []
            for neighbour in found {
                isRead.insert(Self.identity(of: neighbour.source.file))
                sources.append(neighbour.source)
                missing.formUnion(neighbour.root.pipelinesOfRules.subtracting(known))
            }
        }
    }

    private static func identity(of file: String) -> String { URL(fileURLWithPath: file).standardizedFileURL.path }
}

extension JSONNode {
    /// The name of the pipeline that it describes.
    fileprivate var pipelineName: String? {
        guard case .object(let members) = content, case .string(let name)? = members["name"]?.content else {
            return nil
        }
        return name
    }

    /// The names that stand under `when[…].pipeline`.
    var pipelinesOfRules: Set<String> {
        guard case .object(let members) = content, case .array(let rules)? = members["when"]?.content else { return [] }
        return Set(
            rules.compactMap { rule in
                guard case .object(let members) = rule.content, case .string(let name)? = members["pipeline"]?.content
                else { return nil }
                return name
            })
    }
}
