import NIOCore
import PatchbayCore
import PatchbayWire

/// The course of the conversation.
extension AgentCheck {
    /// From the caller's last sound to the edge that a VAD finds, and on to the end of the turn.
    private static let vadDelay = TimeSpan.milliseconds(300)
    private static let turnDelay = TimeSpan.milliseconds(500)
    /// So much of an answer is heard before the caller interrupts.
    private static let heardBeforeInterruption = TimeSpan.milliseconds(400)
    /// What may still be on its way when the agent learns of the interruption.
    private static let grace = TimeSpan.milliseconds(700)
    /// Silence that Patchbay takes for the end of a turn that it cut.
    private static let cutGap = TimeSpan.milliseconds(500)
    /// From `end` to the close, so that what the agent does at the end can be seen.
    private static let endPause = TimeSpan.milliseconds(200)
    private static let closePatience = TimeSpan.seconds(6)
    private static let ping = 4711

    mutating func proceed(at now: MediaTime, into output: inout Output) {
        let elapsed = now - stepBegan
        switch step {
        case .awaitingReady:
            guard elapsed >= plan.readyPatience else { return }
            find(
                .neverReady,
                "no ready within \(plan.readyPatience.milliseconds / 1000) s after start; answer start with {\"type\":\"ready\"}",
                at: now)
            finish(at: now, into: &output)
            output.closes = true
        case .greeting: greet(elapsed, at: now, into: &output)
        case .asking(let number): ask(number, at: now, into: &output)
        case .awaitingAnswer(let number): awaitAnswer(number, at: now, into: &output)
        case .listening(let number): listen(number, elapsed, at: now, into: &output)
        case .interrupting: interrupt(elapsed, at: now, into: &output)
        case .curiosities:
            guard awaitedPong == nil || elapsed >= plan.pongPatience else { return }
            if awaitedPong != nil {
                find(
                    .noPong,
                    "no pong with the id of a ping within \(plan.pongPatience.milliseconds) ms; a quiet agent would be given up",
                    at: now)
            }
            send(.end(reason: "callerHungUp", detail: ""), into: &output)
            enter(.ending, at: now)
        case .ending:
            if elapsed >= Self.endPause, elapsed < Self.endPause + Self.tick { output.closes = true }
            guard elapsed >= Self.closePatience else { return }
            find(.closedBadly, "the agent does not answer the close of the socket", at: now)
            finish(at: now, into: &output)
        case .over: break
        }
    }

    private mutating func greet(_ elapsed: TimeSpan, at now: MediaTime, into output: inout Output) {
        guard let ear else { return }
        if ear.turns == 0 {
            guard elapsed >= plan.greetingPatience else { return }
            report.notes.append("the agent did not greet")
        } else {
            guard ear.isQuiet(at: now) || elapsed >= plan.listening else { return }
            heardTurn(at: now, into: &output)
        }
        begin(0, at: now, into: &output)
    }

    /// Speaks the question, for the first or second time.
    private mutating func begin(_ number: Int, at now: MediaTime, into output: inout Output) {
        startSpeaking(into: &output)
        enter(.asking(number), at: now)
    }

    private mutating func startSpeaking(into output: inout Output) {
        switch plan.edges {
        case .turns: send(.turnStarted, into: &output)
        case .vad: send(.speechStarted, into: &output)
        case .none: break
        }
        voice = spokenQuestion
        turnEnded = nil
        hasStopped = false
        isCallerDone = false
    }

    /// - Returns: Whether the caller's turn is over.
    private mutating func finishSpeaking(at now: MediaTime, into output: inout Output) -> Bool {
        guard voice.readableBytes == 0 else {
            turnEnded = now
            return false
        }
        let silence = now - (turnEnded ?? now)
        if silence >= Self.vadDelay, !hasStopped {
            hasStopped = true
            if plan.edges == .vad { send(.speechStopped, into: &output) }
        }
        guard silence >= Self.turnDelay else { return false }
        if plan.edges == .turns { send(.turnEnded, into: &output) }
        turnEnded = now
        return true
    }

    private mutating func ask(_ number: Int, at now: MediaTime, into output: inout Output) {
        if finishSpeaking(at: now, into: &output) { enter(.awaitingAnswer(number), at: now) }
    }

    private mutating func awaitAnswer(_ number: Int, at now: MediaTime, into output: inout Output) {
        guard let turnEnded, now - turnEnded >= plan.answerPatience else { return }
        let nth = number == 0 ? "first" : "second"
        find(
            .noAnswer, "no sound within \(plan.answerPatience.milliseconds / 1000) s after the caller's \(nth) turn",
            at: now)
        number == 0 ? begin(1, at: now, into: &output) : beginCuriosities(at: now, into: &output)
    }

    private mutating func listen(_ number: Int, _ elapsed: TimeSpan, at now: MediaTime, into output: inout Output) {
        guard let ear else { return }
        if number == 1, elapsed >= Self.heardBeforeInterruption {
            beginInterruption(at: now, into: &output)
        } else if number == 0, ear.isQuiet(at: now) || elapsed >= plan.listening {
            heardTurn(at: now, into: &output)
            begin(1, at: now, into: &output)
        }
    }

    /// The agent's turn has been played.
    private mutating func heardTurn(at now: MediaTime, into output: inout Output) {
        guard let ear, let began = ear.turnBegan else { return }
        if ear.isTurnOpen, now - ear.lastSound >= AgentCheckEar.turnGap {
            find(
                .noTurnEnd,
                "the sound of a turn ended and no turnEnded came; send {\"type\":\"turnEnded\"} behind the last sound",
                at: now)
        }
        let milliseconds = Int((now - began).milliseconds)
        send(.heard(.init(text: "", milliseconds: milliseconds, isComplete: true)), into: &output)
    }

    // MARK: The interruption

    private mutating func beginInterruption(at now: MediaTime, into output: inout Output) {
        let wasOpen = ear?.isTurnOpen ?? false
        startSpeaking(into: &output)
        if plan.edges == .turns {
            send(
                .interruption(
                    cause: "the caller spoke",
                    .init(text: "", milliseconds: Int(Self.heardBeforeInterruption.milliseconds), isComplete: false)),
                into: &output)
            ear?.cut(at: now)
        }
        if plan.edges != .turns {
            report.notes.append("the pipeline that was played leaves interruptions to the agent")
        } else if wasOpen {
            interrupted = now
        } else {
            report.notes.append("the answer was sent completely before it could be interrupted, which is fine")
        }
        enter(.interrupting, at: now)
    }

    private mutating func interrupt(_ elapsed: TimeSpan, at now: MediaTime, into output: inout Output) {
        if let interrupted, report.stopped == nil, let ear {
            let quietSince = max(ear.lastSound, interrupted)
            if ear.lastSound - interrupted >= Self.grace {
                find(
                    .keepsTalking,
                    "the agent goes on sending sound after an interruption; stop at once and send turnEnded",
                    at: now)
                self.interrupted = nil
            } else if now - quietSince >= Self.cutGap {
                find(
                    .interruptionUnanswered,
                    "the agent stopped when it was interrupted, and sent no turnEnded; the beginning of its next turn may be lost",
                    at: now)
                self.interrupted = nil
                self.ear?.endTurn()
            }
        }
        guard isCallerDone else {
            isCallerDone = finishSpeaking(at: now, into: &output)
            return
        }
        // The agent may answer what was said over it; nothing is asked of that answer.
        let isDecided = interrupted == nil || report.stopped != nil
        if isDecided, elapsed >= plan.stopPatience { beginCuriosities(at: now, into: &output) }
    }

    private mutating func beginCuriosities(at now: MediaTime, into output: inout Output) {
        send(.dtmf("5"), into: &output)
        send(.context("The caller has the page Prices open."), into: &output)
        output.messages.text {
            $0.writeString(#"{"type":"x-from-the-future","nested":{"deep":[1,null,true]},"text":"ignore me"}"#)
        }
        output.messages.text {
            $0.writeString(#"{"type":"heard","text":"","ms":0,"complete":true,"x-later":{"a":1}}"#)
        }
        awaitedPong = Self.ping
        send(.ping(id: Self.ping), into: &output)
        enter(.curiosities, at: now)
    }
}
