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
    private let bridge: ByteBuffer
    private let transferTo: PhoneNumber?
    private let health: AgentHealth?
    private let waitingSounds: [String: WaitingSound]
    private let ownWaitingSounds: [[String: WaitingSound]]
    /// The tools that every agent of the call may call.
    let commonTools: [Tool]
    /// Those that each backend has for itself.
    var ownTools: [[Tool]] { plan.backends.map(\.tools) }

    /// Makes the backends; one that cannot be made fails when it is its turn. May take as long as a text takes to be spoken for the first time; not for an event loop.
    ///
    /// - Parameters:
    ///   - tools: Tools of the host's own, beside those of the plan.
    ///   - health: Knows which agents are not worth a try just now, and learns from this call.
    /// - Throws: Also when no backend can be made and there is nobody to transfer the caller to.
    public init(
        _ plan: PipelinePlan, tools: [Tool] = [], health: AgentHealth? = nil
    ) throws(PipelineError) {
        guard let carrier = plan.transport.component as? any CarrierComponent else {
            throw PipelineError(
                .stageFailed, "transport \"\(plan.transport.component.spec.type)\" carries no calls", place: plan.file)
        }
        self.carrier = carrier
        self.plan = plan
        let transferTo = try Self.transferNumber(of: plan)
        self.transferTo = transferTo
        var backends: [any AgentBackend] = []
        var refusal: PipelineError?
        for backend in plan.backends {
            try Tool.checkNames(of: plan.tools + tools + backend.tools)
            do {
                let made = try backend.component.makeBackend(backend.settings)
                backends.append(backend.tools.isEmpty ? made : EquippedBackend(made, backend.tools.map(\.definition)))
            } catch {
                refusal = refusal ?? error
                backends.append(RefusedBackend(type: backend.component.spec.type, error: error))
            }
        }
        if let refusal, transferTo == nil, backends.allSatisfy({ $0 is RefusedBackend }) { throw refusal }
        self.backends = backends
        commonTools = plan.tools + tools
        waitingSounds = try Self.waitingSounds(of: commonTools, in: plan.agentFormat)
        var ownWaitingSounds: [[String: WaitingSound]] = []
        for backend in plan.backends {
            ownWaitingSounds.append(try Self.waitingSounds(of: backend.tools, in: plan.agentFormat))
        }
        self.ownWaitingSounds = ownWaitingSounds
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
        bridge = try Self.bridge(of: plan)
        self.health = health
    }

    private static func bridge(of plan: PipelinePlan) throws(PipelineError) -> ByteBuffer {
        guard let words = plan.agentSettings.bridge else { return ByteBuffer() }
        return try SpeechLibrary.shared.spoken(
            words.speech, voice: words.voice, directory: plan.agentSettings.directory(of: "bridge")
        )
        .audio(in: plan.agentFormat)
    }

    /// A number that came with a variable could not be checked before.
    private static func transferNumber(of plan: PipelinePlan) throws(PipelineError) -> PhoneNumber? {
        guard let text = plan.agentSettings.string("transferTo"), !text.isEmpty else { return nil }
        guard let number = PhoneNumber(text) else {
            throw PipelineError(
                .agentNotConfigured, "transferTo is \"\(text.prefix(32))\", which is no number (E.164)",
                place: plan.file)
        }
        return number
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
        call.ownWaitingSounds = ownWaitingSounds
        call.bridge = bridge
        call.transferTo = transferTo
        // While the carrier still speaks, an agent would wait for a caller who cannot hear it.
        let isWelcomed = carrier is TwilioTransport && Spoken(welcome: plan.transport.settings) != nil
        call.connectsEarly = plan.agentSettings.string("connect") != "answered" && !isWelcomed
        call.health = health
        // What cannot work for this call may work for the next.
        call.identities = zip(backends, plan.backends).map { backend, planned in
            backend is RefusedBackend ? nil : planned.identity(in: plan.pipeline)
        }
        return call
    }
}

/// Stands in the place of a backend that cannot be made for this call, so that the others have their turn.
private struct RefusedBackend: AgentBackend {
    let type: String
    let error: PipelineError

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession { throw error }
}

extension PipelinePlan.Backend {
    /// Who it is to ``AgentHealth``.
    func identity(in pipeline: String) -> AgentIdentity {
        AgentIdentity(type: component.spec.type, pipeline: pipeline, settings: settings.fingerprint)
    }
}
