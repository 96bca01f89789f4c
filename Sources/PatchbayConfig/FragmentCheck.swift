extension SourceText {
    /// Checks a fragment by itself: its keys, its parameters, and its stages with the parameters' defaults.
    ///
    /// What depends on who includes it is left to them: formats, variables, and values that must be given.
    func checkFragment(
        registry: ComponentRegistry, environment: [String: String], options: LoadOptions
    ) -> [Diagnostic] {
        let linter = Linter(self, Surroundings(variables: environment, isChecked: options.checkEnvironment))
        linter.files = options.files
        linter.variables = .fragment
        do {
            let root = try readJSON()
            var reader = StageListReader(linter, registry, nil)
            reader.check(fragment: root)
        } catch {
            linter.report(error)
        }
        return linter.finish()
    }
}

extension StageListReader {
    fileprivate mutating func check(fragment root: JSONNode) {
        guard let (members, parameters) = readFragment(root), let stages = requiredStages(members, root) else { return }
        var defaults: [String: JSONNode] = [:]
        for parameter in parameters {
            if case .null = parameter.value.content {
                linter.openParameters.insert(parameter.key)
            } else {
                defaults[parameter.key] = parameter.value
            }
        }
        let path = DocumentPath.root.key("stages")
        guard let elements = elements(of: ParameterValues(values: defaults).filled(into: stages), "stages", path) else {
            return
        }
        _ = read(elements, Place(path: path, address: "stages", directory: linter.source.directory))
    }
}
