/// What a JSON document is for.
enum DocumentKind: Equatable {
    case pipeline
    /// A list of stages that pipelines include.
    case fragment
    /// Calls with what is expected of them.
    case test
    /// `server.json`.
    case server
    /// `tenants.json`.
    case tenants

    /// By the name of its file, where the name tells.
    init?(file: String) {
        let name = file.split(separator: "/").last.map(String.init) ?? file
        if name == serverSettingsFile {
            self = .server
        } else if name == TenantList.fileName {
            self = .tenants
        } else if name.hasSuffix(".test.json") {
            self = .test
        } else if name.hasSuffix(".fragment.json") {
            self = .fragment
        } else {
            return nil
        }
    }

    /// By what is in it; `nil` when it is none of ours. A document without a name that has a transport is a pipeline
    /// that lacks its name.
    init?(content root: JSONNode) {
        guard case .object(let members) = root.content else { return nil }
        if members["stages"] != nil {
            self = members["name"] == nil && members["transport"] == nil ? .fragment : .pipeline
        } else if members["tests"] != nil {
            self = .test
        } else if members["tenants"] != nil {
            self = .tenants
        } else {
            return nil
        }
    }
}
