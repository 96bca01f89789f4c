import NIOCore
public import PatchbayConfig
public import PatchbayCore
import PatchbayTransports

/// What one call is made of, resolved from its document and ready to be put together on its event loop.
public struct CallParts: Sendable {
    private let plan: PipelinePlan
    private let carrier: any CarrierComponent
    private let backends: [any AgentBackend]
    private let tapMakers: [MediaTapMaker]
    private let announcement: ByteBuffer
    private let waitingSounds: [String: WaitingSound]
    /// The tools that every agent of the call may call.
    let commonTools: [Tool]
    /// Those that each backend has for itself.
    var ownTools: [[Tool]] { plan.backends.map(\.tools) }

    /// Makes the backends. May take as long as a text takes to be spoken for the first time; not for an event loop.
    ///
    /// - Parameter tools: Tools of the host's own, beside those of the plan.
    public init(_ plan: PipelinePlan, tools: [Tool] = []) throws(PipelineError) {
        guard let carrier = plan.transport.component as? any CarrierComponent else {
            throw PipelineError(
                .stageFailed, "transport \"\(plan.transport.component.spec.type)\" carries no calls", place: plan.file)
        }
        self.carrier = carrier
        self.plan = plan
        var backends: [any AgentBackend] = []
        for backend in plan.backends {
            try Tool.checkNames(of: plan.tools + tools + backend.tools)
            let made = try backend.component.makeBackend(backend.settings)
            backends.append(backend.tools.isEmpty ? made : EquippedBackend(made, backend.tools.map(\.definition)))
        }
        self.backends = backends
        commonTools = plan.tools + tools
        waitingSounds = try Self.waitingSounds(of: commonTools + plan.backends.flatMap(\.tools), in: plan.agentFormat)
        var tapMakers: [MediaTapMaker] = []
        var announcement = ByteBuffer()
        for stage in (plan.stagesBefore + plan.stagesAfter).withBranches {
            guard let component = stage.component as? any TapComponent else { continue }
            tapMakers.append(try component.makeTap(stage.settings))
            guard let words = component.announcement(stage.settings) else { continue }
            announcement.writeImmutableBuffer(
                try SpeechLibrary.shared.spoken(
                    words.speech, voice: words.voice, directory: stage.settings.directory(of: "announcement")
                )
                .audio(in: plan.agentFormat))
        }
        self.tapMakers = tapMakers
        self.announcement = announcement
    }

    /// Makes the processors of one call. On its event loop.
    public func makePlan(_ info: CallInfo) throws(PipelineError) -> CallPlan {
        var taps: [any MediaTap] = []
        let carrierFormat = carrier.format(plan.transport.settings)
        for makeTap in tapMakers { taps.append(try makeTap(info, carrierFormat)) }
        var call = CallPlan(
            info: info, limits: plan.limits, carrier: carrier.makeSerializer(plan.transport.settings),
            carrierFormat: carrierFormat,
            toAgent: Chain(.toAgent, try plan.stagesBefore.makeStages()),
            joint: plan.agentFormat,
            backends: backends, toCaller: Chain(.toCaller, try plan.stagesAfter.makeStages()),
            tools: commonTools.map(\.definition), taps: taps, announcement: announcement)
        call.waitingSounds = waitingSounds
        return call
    }
}
