/// The settings of a server that stand beside its pipelines, in `server.json`.
public struct ServerSettings: Sendable, Equatable {
    /// The paths of each key, never empty; the first is the one that TwiML names.
    public var paths: [PathKey: [String]]
    /// Which pipeline answers what comes in at a path of ``PathKey/voice``, whatever the called number says; by path.
    public var pathPipelines: [String: String] = [:]
    /// What callers hear, where their pipeline has no words of its own.
    public var messages = Messages()
    /// How much the server takes on.
    public var limits = Limits()
    /// How long records are kept.
    public var store = Store()
    /// How calls are dialled.
    public var outbound = Outbound()
    /// How Twilio's webhooks prove themselves, beside the auth token.
    public var twilio = Twilio()
    /// How ElevenLabs' webhooks prove themselves.
    public var elevenLabs = ElevenLabs()
    /// Who is told of calls.
    public var webhooks: [WebhookEndpoint] = []
    /// Who may call without a telephone.
    public var browser = Browser()
    /// Who may ask what.
    public var access = AccessSettings()
    /// What needs no token.
    public var publicPaths: Set<PathKey> = []

    public init() {
        paths = Dictionary(uniqueKeysWithValues: PathKey.allCases.map { ($0, [$0.defaultPath]) })
    }

    /// The paths of `key`; the first is the one that TwiML names.
    public func paths(_ key: PathKey) -> [String] { paths[key] ?? [key.defaultPath] }
}

extension ServerSettings {
    /// Reads `server.json` in a folder; without one, everything has its default.
    ///
    /// - Returns: The settings, with all findings. Sections with an error keep their defaults, and a server with an
    ///   error among its findings should not start.
    ///
    /// - Parameters:
    ///   - environment: The variables that secrets come from.
    ///   - checkEnvironment: Whether an unset variable is an error.
    public static func load(
        directory: String, environment: [String: String] = [:], checkEnvironment: Bool = true
    ) -> (settings: ServerSettings, diagnostics: [Diagnostic]) {
        let folder = directory.hasSuffix("/") ? String(directory.dropLast()) : directory
        let file = "\(folder)/\(serverSettingsFile)"
        switch readFile(file, limit: SourceText.maximumBytes) {
        case .success(let bytes):
            return load(
                SourceText(file: file, bytes: bytes), environment: environment, checkEnvironment: checkEnvironment)
        case .failure(let fault):
            return (ServerSettings(), fault.isMissing ? [] : [fault.diagnostic(file)])
        }
    }

    /// Reads the settings from a text.
    public static func load(
        _ source: SourceText, environment: [String: String] = [:], checkEnvironment: Bool = true
    ) -> (settings: ServerSettings, diagnostics: [Diagnostic]) {
        let linter = Linter(source, Surroundings(variables: environment, isChecked: checkEnvironment))
        linter.variables = .refused("nothing is substituted in \(serverSettingsFile)")
        var result = ServerSettings()
        guard let (_, members) = linter.rootMembers(serverSettingsFile) else { return (result, linter.finish()) }
        linter.checkKeys(
            members, allowed: DocumentKeys.server.map(\.name), owner: serverSettingsFile, .root)
        if let node = members["paths"] { result.readPaths(node, linter) }
        if let node = members["pathPipelines"] { result.readPathPipelines(node, linter) }
        if let messages = linter.messages(members) { result.messages = messages }
        if let settings = linter.section("limits", members, Limits.fields) { result.limits = Limits(settings) }
        if let settings = linter.section("store", members, Store.fields) { result.store = Store(settings) }
        if let node = members["outbound"], let outbound = Outbound(node, linter) { result.outbound = outbound }
        if let settings = linter.section("twilio", members, Twilio.fields) { result.twilio = Twilio(settings) }
        if let settings = linter.section("elevenlabs", members, ElevenLabs.fields) {
            result.elevenLabs = ElevenLabs(settings)
        }
        if let node = members["webhooks"] { result.webhooks = WebhookReader(linter).read(node) }
        if let settings = linter.section("browser", members, Browser.fields) { result.browser = Browser(settings) }
        if let node = members["public"] { result.readPublic(node, linter) }
        if let access = AccessReader(linter: linter).read(members) { result.access = access }
        return (result, linter.finish())
    }

    private mutating func readPaths(_ node: JSONNode, _ linter: Linter) {
        let path = DocumentPath.root.key("paths")
        guard let members = linter.members(node, path, "paths") else { return }
        linter.checkKeys(members, allowed: PathKey.allCases.map(\.rawValue), owner: "\"paths\"", path)
        var owners: [String: PathKey] = [:]
        for key in PathKey.allCases where members[key.rawValue] == nil { owners[key.defaultPath] = key }
        for key in PathKey.allCases {
            guard let list = members[key.rawValue] else { continue }
            let place = path.key(key.rawValue)
            guard let elements = linter.words(list, key.rawValue, place) else { continue }
            if case .array(let all) = list.content, all.isEmpty {
                linter.report(
                    .emptyList, list.headRange, place, "\"\(key.rawValue)\" has no path",
                    .init("leave the key out for \"\(key.defaultPath)\""))
            }
            var sound: [String] = []
            for element in elements {
                if !isPath(element.text) {
                    linter.report(
                        .notAllowed, element.range, element.path,
                        "\(quoted(element.text)) is no path: it begins with \"/\" and has no spaces, \"?\" and \"#\"")
                } else if let owner = owners[element.text] {
                    linter.report(
                        .duplicatePath, element.range, element.path,
                        "\(quoted(element.text)) already leads to \"\(owner.rawValue)\"",
                        .init(owner == key ? "remove one of the two" : "give one of them another path"))
                } else {
                    owners[element.text] = key
                    sound.append(element.text)
                }
            }
            if !sound.isEmpty { paths[key] = sound }
        }
    }

    private mutating func readPathPipelines(_ node: JSONNode, _ linter: Linter) {
        let path = DocumentPath.root.key("pathPipelines")
        for member in linter.distinct(linter.members(node, path, "pathPipelines") ?? []) {
            let place = path.key(member.key)
            guard case .string(let pipeline) = member.value.content else {
                linter.reportWrongType(member.value, place, member.key, expected: "the name of a pipeline")
                continue
            }
            guard paths(.voice).contains(member.key) else {
                linter.report(
                    .notAllowed, member.keyRange, place, "calls do not come in at \(quoted(member.key))",
                    .among(paths(.voice), for: member.key, label: "the paths of \"voice\""))
                continue
            }
            pathPipelines[member.key] = pipeline
        }
    }

    private func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && text.utf8.count <= 256
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
    }

    private mutating func readPublic(_ node: JSONNode, _ linter: Linter) {
        let allowed = PathKey.allCases.filter(\.isReadOnly).map(\.rawValue)
        for element in linter.words(node, "public", DocumentPath.root.key("public")) ?? [] {
            let key = PathKey(rawValue: element.text)
            if let key, key.isReadOnly {
                publicPaths.insert(key)
                continue
            }
            linter.report(
                .notAllowed, element.range, element.path,
                key != nil
                    ? "\(quoted(element.text)) does more than tell; it cannot be public"
                    : "there is no path \(quoted(element.text))",
                .among(allowed, for: element.text, label: "allowed here"))
        }
    }
}

extension Linter {
    /// A list of strings, without those elements that are none, with their places.
    fileprivate func words(
        _ node: JSONNode, _ name: String, _ path: DocumentPath
    ) -> [(text: String, range: Range<Int>, path: DocumentPath)]? {
        guard case .array(let elements) = node.content else {
            var remedy: String?
            if case .string(let text) = node.content { remedy = "write a list: [\(quoted(text))]" }
            reportWrongType(node, path, name, expected: Field.Kind.strings.expectation, remedy: remedy)
            return nil
        }
        var words: [(text: String, range: Range<Int>, path: DocumentPath)] = []
        for (index, element) in elements.enumerated() {
            if case .string(let text) = element.content {
                words.append((text, element.range, path.index(index)))
            } else {
                reportWrongType(element, path.index(index), "\(name)[\(index)]", expected: "a string")
            }
        }
        return words
    }
}
