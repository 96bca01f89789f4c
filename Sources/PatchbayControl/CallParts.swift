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

    /// Makes the backends. May take as long as a text takes to be spoken for the first time; not for an event loop.
    public init(_ plan: PipelinePlan) throws(PipelineError) {
        guard let carrier = plan.transport.component as? any CarrierComponent else {
            throw PipelineError(
                .stageFailed, "transport \"\(plan.transport.component.spec.type)\" carries no calls", place: plan.file)
        }
        self.carrier = carrier
        self.plan = plan
        var backends: [any AgentBackend] = []
        for backend in plan.backends { backends.append(try backend.component.makeBackend(backend.settings)) }
        self.backends = backends
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
        return CallPlan(
            info: info, limits: plan.limits, carrier: carrier.makeSerializer(plan.transport.settings),
            carrierFormat: carrierFormat,
            toAgent: Chain(.toAgent, try plan.stagesBefore.makeStages()),
            joint: plan.agentFormat,
            backends: backends, toCaller: Chain(.toCaller, try plan.stagesAfter.makeStages()), taps: taps,
            announcement: announcement)
    }
}
