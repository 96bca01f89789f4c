import PatchbayTesting
import Testing

@Suite struct AgentConformanceTests {
    private typealias Rule = ConformanceFailure.Rule

    private func check(_ fault: PlainBackend.Fault, only: Rule? = nil) -> [ConformanceFailure] {
        var options = AgentConformance.Options(longConversation: .seconds(600))
        if let only { options.only = [only] }
        return AgentConformance.check(options, peer: { PlainPeer() }, backend: { PlainBackend(fault: fault) })
    }

    /// The rule that has to find a fault; others may see it too.
    private func rule(_ fault: PlainBackend.Fault) -> Rule? {
        switch fault {
        case .nothing: nil
        case .neverReady, .wrongFormat, .readyTwice, .sendsNonsense, .chatters: .agentReady
        case .spins: .deadline
        case .losesCallersSound, .changesCallersSound: .agentHears
        case .losesSound, .doublesSound: .agentSpeaks
        case .losesWords, .finishesWords: .agentText
        case .isImpatient: .slowStart
        case .neverGivesUp, .givesUpForGood: .stall
        case .diesOfGarbage, .countsNothing, .tellsAtLength: .agentMalformed
        case .ignoresInterruptions: .agentInterruption
        case .isDeafAfterACut, .liesAboutHeard: .ownInterruption
        case .playsLateSound: .lateSound
        case .keepsToolsBack: .toolDeclaration
        case .changesArguments, .losesCalls, .losesAnswers: .tools
        case .hidesErrors: .toolErrors
        case .ignoresCancellation: .toolCancellation
        case .losesContext: .context
        case .forgetsHistory: .history
        case .forgetsTools: .toolUses
        case .leavesTheCallerWaiting, .alwaysSpeaksFirst: .awaitedAnswer
        case .givesUpAtABreak: .brokenConnection
        case .confusesCodes, .diesOfWarnings: .documentedFailures
        case .neverHangsUp, .hangsUpEarly: .goodbye
        case .ignoresNewSockets, .isMuteOnNewSockets: .reconnection
        case .remembersEverything, .saysMoreAndMore: .noGrowth
        case .isRandom: .determinism
        case .talksAfterTheEnd: .silentAfterEnd
        }
    }

    @Test(arguments: PlainBackend.Fault.allCases) func everyFaultIsFound(fault: PlainBackend.Fault) {
        guard let rule = rule(fault) else {
            let failures = check(fault)
            #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
            return
        }
        // A deadline that does not move is seen wherever it is reached.
        let found = check(fault, only: rule == .deadline ? .stall : rule)
        #expect(
            found.contains { $0.rule == rule },
            "\(fault) was only seen as:\n\(found.map(\.description).joined(separator: "\n"))")
    }

    @Test func whatIsByDesignIsLeftOut() {
        let options = AgentConformance.Options(exempt: [.history], only: [.history])
        let failures = AgentConformance.check(
            options, peer: { PlainPeer() }, backend: { PlainBackend(fault: .forgetsHistory) })
        #expect(failures.isEmpty, "\(failures)")
    }
}
