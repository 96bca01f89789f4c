/// What has to be there for a component to work.
struct SkeletonNeeds: Sendable {
    var sounds: [String] = []
    var environment: [String] = []
}

/// A component with the settings that a skeleton writes for it.
struct SkeletonEntry<C: Sendable>: Sendable {
    let component: C
    let type: String
    private(set) var members: [JSONValue.Member]
    let needs: SkeletonNeeds
    private(set) var settings: Settings
    private let fields: [Field]

    fileprivate init(_ component: C, _ spec: ComponentSpec, folder: String) {
        self.component = component
        type = spec.type
        fields = spec.fields
        var needs = SkeletonNeeds()
        members = spec.fields.compactMap { field in
            guard let value = field.skeleton(type: spec.type, &needs) else { return nil }
            return .init(field.name, value)
        }
        self.needs = needs
        settings = Settings(directory: folder)
        settings = makeSettings(folder: folder)
    }

    /// Sets what the spec alone does not say.
    mutating func set(_ name: String, _ value: JSONValue) {
        members.removeAll { $0.key == name }
        members.append(.init(name, value))
        settings = makeSettings(folder: settings.directory)
    }

    private func makeSettings(folder: String) -> Settings {
        var values: [String: VariableValue] = [:]
        for member in members { if let value = member.value.variable { values[member.key] = value } }
        return Settings(fields, values, directory: folder)
    }

    /// The bare name where there is nothing to set.
    var json: JSONValue { members.isEmpty ? .string(type) : object }

    var object: JSONValue { .object([.init("type", .string(type))] + members) }
}

extension SkeletonEntry where C == any StageComponent {
    init(_ component: C, folder: String = ".") { self.init(component, component.spec, folder: folder) }
}

extension SkeletonEntry where C == any TransportComponent {
    init(_ component: C, folder: String = ".") { self.init(component, component.spec, folder: folder) }
}

extension SkeletonEntry where C == any AgentComponent {
    init(_ component: C, folder: String = ".") { self.init(component, component.spec, folder: folder) }
}

extension Field {
    /// What a first document says under the key: what must be there, credentials, and what the environment may provide;
    /// `nil` for what may be left out.
    fileprivate func skeleton(type: String, _ needs: inout SkeletonNeeds) -> JSONValue? {
        guard mustBeWritten || !isAdvanced else { return nil }
        switch kind {
        case .secret:
            let example = example.flatMap { JSONValue(parsing: $0) }
            let stem = type.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? Character($0.uppercased()) : "_" }
            let variable = environmentDefault ?? example?["env"]?.variable?.description ?? String(stem) + "_KEY"
            needs.environment.append(variable)
            return ["env": .string(variable)]
        case .string where environmentDefault != nil:
            let variable = environmentDefault ?? ""
            needs.environment.append(variable)
            return "${env.\(variable)}"
        default:
            guard mustBeWritten else { return nil }
            let value = example.flatMap { JSONValue(parsing: $0) } ?? kind.sample
            if case .string(let path) = value, path.hasSuffix(".wav"), !path.contains("${") {
                needs.sounds.append(path)
            }
            return value
        }
    }
}
