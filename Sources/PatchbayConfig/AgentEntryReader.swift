public import PatchbayAudio
import PatchbayCore

/// Where in a running call an agent is to stand.
public struct AgentPlace: Sendable {
    /// The document that the call began with.
    public var document: PipelineDocument
    public var call: CallVariables
    /// The variables of the called number.
    public var variables: [String: VariableValue]
    /// The format of the agent's joint.
    public var joint: AudioFormat

    public init(
        document: PipelineDocument, call: CallVariables, variables: [String: VariableValue], joint: AudioFormat
    ) {
        self.document = document
        self.call = call
        self.variables = variables
        self.joint = joint
    }

    /// Reads one agent, as it could stand among the document's backends, with the same checks and variables.
    ///
    /// Files that it names, secrets and sounds, must lie in the folders of the document and of its fragments, and what `${…}`
    /// becomes is never taken for a path.
    ///
    /// - Parameters:
    ///   - bytes: JSON: an object with `type`, or the type alone.
    ///   - environment: The variables that secrets and `${env.NAME}` come from.
    /// - Returns: The agent, or `nil` when there is any error, with all findings.
    public func readAgent(
        _ bytes: [UInt8], registry: ComponentRegistry, environment: [String: String]
    ) -> (backend: PipelinePlan.Backend?, diagnostics: [Diagnostic]) {
        let folder = document.file.lastIndex(of: "/").map { String(document.file[...$0]) } ?? ""
        let source = SourceText(file: folder + "agent.json", bytes: bytes)
        let linter = Linter(
            source,
            Surroundings(variables: environment, isChecked: true, fragments: [], fileFolders: document.folders.sorted())
        )
        let known = document.variables.merging(variables) { $1 }
        linter.variables = .document(DocumentVariables(own: known, numbers: []))
        var backend: PipelinePlan.Backend?
        do {
            backend = try read(try source.readJSON(), linter, registry, ReferenceScope(call: call, variables: known))
        } catch let fault as Diagnostic {
            linter.report(fault)
        } catch {
            linter.report(Diagnostic(file: source.file, .unusable, "\(error)"))
        }
        let diagnostics = linter.finish()
        return (diagnostics.hasErrors ? nil : backend, diagnostics)
    }

    private func read(
        _ root: JSONNode, _ linter: Linter, _ registry: ComponentRegistry, _ scope: ReferenceScope
    ) throws(PipelineError) -> PipelinePlan.Backend? {
        linter.checkDuplicateKeys(root)
        guard let entry = linter.component(root, .root, "agent") else { return nil }
        guard let agent = registry.agent(entry.type) else {
            linter.report(
                .unknownType, entry.typeNode.range, .root, "there is no agent \(quoted(entry.type))",
                .closest(of: registry.types(.agent), for: entry.type, label: "agents"))
            return nil
        }
        if let tools = entry.members[ToolDeclaration.agentKey] {
            linter.report(
                .notAllowed, tools.headRange, DocumentPath.root.key(ToolDeclaration.agentKey),
                "an agent that a running call is given has the tools of the call's document and none of its own",
                .init("leave them out; put them at the top of the document"))
            return nil
        }
        guard let choice = StageListReader(linter, registry, nil).backend(entry, agent, .root) else { return nil }
        if let mismatch = choice.mismatch(at: joint) {
            linter.report(.formatMismatch, entry.typeNode.range, .root, mismatch)
            return nil
        }
        return PipelinePlan.Backend(component: choice.component, settings: try choice.settings.resolved(in: scope))
    }
}

extension PipelineDocument.Choice<any AgentComponent> {
    /// What it may announce that the joint cannot be converted to or from.
    func mismatch(at joint: AudioFormat) -> String? {
        let formats = component.formats(for: joint, settings: settings)
        let pairs = formats.inputs.map { (joint, $0) } + formats.outputs.map { ($0, joint) }
        for (source, target) in pairs where source != target {
            do throws(PipelineError) {
                _ = try FormatConverter(from: source, to: target)
            } catch {
                let announced = source == joint ? "take \(target)" : "give \(source)"
                return "\"\(component.spec.type)\" may \(announced), and the joint has \(joint): \(error.message)"
            }
        }
        return nil
    }
}
