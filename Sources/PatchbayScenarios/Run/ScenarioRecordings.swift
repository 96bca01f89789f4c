import Foundation
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayProcessors

/// A folder of its own for what the recorders of one test write, which is measured and removed afterwards.
struct ScenarioRecordings {
    private let folder: String

    init() throws(PipelineError) {
        folder = NSTemporaryDirectory() + "patchbay-test-\(UUID().uuidString)"
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw PipelineError(.stageFailed, "no folder for recordings could be made", place: folder, cause: error)
        }
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    /// The plan with its recorders writing here.
    func redirected(_ plan: PipelinePlan) -> PipelinePlan {
        var plan = plan
        for index in plan.stagesBefore.indices { redirect(&plan.stagesBefore[index]) }
        for index in plan.stagesAfter.indices { redirect(&plan.stagesAfter[index]) }
        return plan
    }

    private func redirect(_ stage: inout PlannedStage) {
        for branch in stage.branches.indices {
            for index in stage.branches[branch].stages.indices { redirect(&stage.branches[branch].stages[index]) }
        }
        guard stage.component is Recorder else { return }
        let old = stage.settings
        var values: [String: VariableValue] = [:]
        for field in stage.component.spec.fields {
            switch field.kind {
            case .string, .choice: values[field.name] = old.string(field.name).map { .string($0) }
            case .integer, .number: values[field.name] = old.number(field.name).map { .number($0) }
            case .boolean: values[field.name] = old.bool(field.name).map { .bool($0) }
            default: break
            }
        }
        values["directory"] = .string(folder)
        stage.settings = Settings(stage.component.spec.fields, values, directory: old.directory)
    }

    /// How long what was written is, in milliseconds; completes the files first.
    func lengths() -> [Int] {
        RecordingWriter.shared.drain()
        guard let names = FileManager.default.enumerator(atPath: folder)?.compactMap({ $0 as? String }) else {
            return []
        }
        return names.sorted().compactMap { name in
            guard let file = try? SoundFile(path: "\(folder)/\(name)") else { return nil }
            return file.samples.count * 1000 / file.format.channelCount / file.format.sampleRate
        }
    }
}
