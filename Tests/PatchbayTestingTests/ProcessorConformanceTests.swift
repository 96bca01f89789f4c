import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@Suite struct ProcessorConformanceTests {
    private func rules(
        _ fault: BrokenProcessor.Fault, options: ProcessorConformance.Options = .init()
    ) -> (rules: Set<ConformanceFailure.Rule>, seen: String) {
        let shared = BrokenProcessor.Shared()
        let failures = ProcessorConformance.check(
            make: { BrokenProcessor(fault, shared) }, taking: .pcm(8000), giving: .pcm(8000), options: options)
        return (Set(failures.map(\.rule)), failures.map(\.description).joined(separator: "\n"))
    }

    /// The rule that has to find a fault; others may see it too.
    private func rule(_ fault: BrokenProcessor.Fault) -> ConformanceFailure.Rule? {
        switch fault {
        case .nothing: nil
        case .swallowsInterruption, .swallowsUtteranceEnded, .swallowsHangup, .swallowsCallEnded, .swallowsCustom,
            .swallowsText, .doublesKeys, .changesText:
            .passes
        case .holdsSystemFrames: .promptness
        case .reordersText, .reordersSound: .order
        case .keepsSoundAtInterruption, .flushesAtInterruption: .interruption
        case .losesTail, .losesHalf, .tailBehindTheEnd, .tailLater, .doublesSound: .tail
        case .wrongRate, .halfSamples: .format
        case .losesStamp: .generations
        case .spins: .deadline
        case .throwsOnNothing: .packets
        case .throwsOnOldTurns: .accepts
        case .dependsOnPackets: .cuts
        case .hidesDelay, .claimsDelay: .delay
        case .remembersOthers: .determinism
        }
    }

    @Test(arguments: BrokenProcessor.Fault.allCases) func everyFaultIsFound(fault: BrokenProcessor.Fault) {
        let (found, seen) = rules(fault)
        if let rule = rule(fault) {
            #expect(found.contains(rule), "\(fault) was only seen as:\n\(seen)")
        } else {
            #expect(found.isEmpty, "\(seen)")
        }
    }

    @Test func whatIsByDesignIsLeftOut() {
        let swallowing = rules(
            .swallowsText,
            options: .init { if case .text = $0 { true } else { false } })
        #expect(swallowing.rules.isEmpty, "\(swallowing.seen)")
        #expect(rules(.claimsDelay, options: .init(exempt: [.delay])).rules.isEmpty)
        let duty = rules(.swallowsInterruption, options: .init { _ in true })
        #expect(duty.rules.contains(.passes), "an interruption is nobody's to keep")
    }

    @Test func whatCannotBeMadeIsSaid() {
        let failures = ProcessorConformance.check(
            make: { throw PipelineError(.stageFailed, "no") }, taking: .pcm(8000), giving: .pcm(8000))
        #expect(failures.map(\.rule) == [.makes])
        let mute = ProcessorConformance.check(
            make: { BrokenProcessor(.nothing, .init()) }, taking: AudioFormat(.pcm16, sampleRate: 0),
            giving: .pcm(8000))
        #expect(mute.map(\.rule) == [.makes])
    }

    @Test func stagesWithBranchesConform() {
        func side() -> [Stage] {
            [
                Stage(
                    "x", address: "stages[0].stages[0]", takes: .pcm(8000), gives: .pcm(8000),
                    processor: BrokenProcessor(.nothing, .init()))
            ]
        }
        let tee = ProcessorConformance.check(make: { TeeStage(side()) }, taking: .pcm(8000), giving: .pcm(8000))
        #expect(tee.isEmpty, "\(tee)")
        // Key 5, which the examination presses, changes the branch in the middle of the sound.
        for cases in [["5": side()], ["5": side(), "#": side()], ["1": side()]] as [[Character: [Stage]]] {
            let failures = ProcessorConformance.check(
                make: { KeySwitchStage(cases: cases, otherwise: side()) }, taking: .pcm(8000), giving: .pcm(8000))
            #expect(failures.isEmpty, "\(failures)")
        }
    }
}
