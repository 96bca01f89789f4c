import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// What the agent says, judged message by message.
extension AgentCheck {
    /// From a tool's call to its answer.
    private static let toolDelay = TimeSpan.milliseconds(200)
    /// Sound so far ahead is more than anybody says in one turn.
    private static let reasonableLead = TimeSpan.seconds(120)
    /// Sound that Patchbay keeps.
    private static let keptBytes = 16 << 20

    mutating func act(on message: AgentSocketServerMessage, at now: MediaTime, into output: inout Output) {
        switch message {
        case .ready(let choice, let conversation): ready(choice, conversation, at: now, into: &output)
        case .audio: hear(decodedAudio, at: now)
        case .turnEnded: turnOver(at: now)
        case .interruption:
            ear?.cut(at: now)
            turnOver(at: now)
            send(.heard(.init(text: "", milliseconds: 0, isComplete: false)), into: &output)
        case .toolCall(let id, let name, _): toolCalled(id, name, at: now)
        case .toolCancel(let ids): toolAnswers.removeAll { ids.contains($0.id) }
        case .hangUp(let reason): leave("hung up", reason, at: now, into: &output)
        case .transfer(let address): leave("handed the caller to \(address)", nil, at: now, into: &output)
        case .reconnect(let cause): leave("asked for another connection", cause, at: now, into: &output)
        case .error(let fault):
            find(
                .reportedError, "the agent reports \(fault.code): \(fault.message) \(place)", at: now)
            finish(at: now, into: &output)
            output.closes = true
        case .ping(let id): send(.pong(id: id), into: &output)
        case .pong(let id): if let id, id == awaitedPong { awaitedPong = nil }
        case .text, .interruptible, .dtmf: break
        case .other(let type):
            let known = AgentSocketServerMessage.types
            let near = known.first { $0.lowercased() == type.lowercased().filter { $0.isLetter } }
            let advice = near.map { "; did you mean \"\($0)\"?" } ?? "; known are \(known.joined(separator: ", "))"
            find(.unknownType, "a message of type \"\(type)\" is ignored\(advice)", at: now)
        }
    }

    private mutating func ready(
        _ choice: AgentSocketAudioChoice, _ conversation: String?, at now: MediaTime, into output: inout Output
    ) {
        guard step == .awaitingReady else {
            find(.readyTwice, "the agent said ready a second time; once for each start", at: now)
            return
        }
        let offer = plan.audio
        for (side, chosen, offered) in [
            ("input", choice.input, offer.inputs), ("output", choice.output, offer.outputs),
        ] {
            guard let chosen, !offered.contains(chosen) else { continue }
            find(
                .formatNotOffered,
                "ready chose \(chosen) as \(side), which start did not offer: \(offered.map(\.description).joined(separator: ", "))",
                at: now)
        }
        guard !report.findings.contains(where: { $0.code == .formatNotOffered }),
            let input = choice.input ?? offer.inputs.first, let format = choice.output ?? offer.outputs.first
        else {
            finish(at: now, into: &output)
            output.closes = true
            return
        }
        report.ready = now - opened
        report.conversation = conversation
        report.formats = (input.description, format.description)
        form = choice.form ?? offer.form
        inputFormat = input
        ear = AgentCheckEar(format)
        do {
            var converter = try FormatConverter(from: .pcm(16000), to: input.audioFormat)
            spokenQuestion = ByteBuffer()
            spokenQuestion.writeImmutableBuffer(converter.convert(plan.question))
            spokenQuestion.writeImmutableBuffer(converter.flush())
        } catch {
            report.notes.append("the caller could not speak \(input): \(error)")
        }
        enter(.greeting, at: now)
    }

    mutating func hear(_ sound: ByteBuffer, at now: MediaTime) {
        guard var ear else {
            find(.soundBeforeReady, "sound came before ready; it is dropped, and the caller misses it", at: now)
            return
        }
        if sound.readableBytes == 0 {
            find(.emptySound, "a message of sound is empty; use turnEnded to end a turn", at: now)
            return
        }
        if sound.readableBytes > AgentSocketLimits.messageBytes {
            find(
                .messageTooLong,
                "one message holds \(sound.readableBytes) bytes of sound; more than \(AgentSocketLimits.messageBytes) close the socket",
                at: now)
        }
        if sound.readableBytes % ear.format.bytesPerSample != 0 {
            find(
                .oddBytes,
                "a message holds \(sound.readableBytes) bytes of pcm16, which are no whole samples; what follows would be noise",
                at: now)
        }
        if case .awaitingAnswer(let number) = step, let turnEnded {
            answered(number, after: now - turnEnded, at: now)
        }
        ear.hear(sound, at: now)
        if ear.holes > AgentCheckEar.audibleHoles {
            find(
                .holesInSound,
                "sound came slower than it is played: \(ear.holes.milliseconds) ms of holes in one turn; send it as fast as you have it",
                at: now)
        }
        if ear.lead(at: now) > Self.reasonableLead {
            find(
                .tooMuchSound,
                "\(ear.lead(at: now).milliseconds / 1000) s of sound wait to be played; is the format right, does the turn ever end? Beyond \(Self.keptBytes) bytes it is dropped",
                at: now)
        }
        self.ear = ear
        judgeSilence(at: now)
    }

    private mutating func answered(_ number: Int, after delay: TimeSpan, at now: MediaTime) {
        report.answers.append(delay)
        if delay > plan.promptness {
            find(
                .lateAnswer,
                "the answer began \(delay.milliseconds) ms after the caller's turn; callers begin to speak again",
                at: now)
        }
        enter(.listening(number), at: now)
    }

    private mutating func turnOver(at now: MediaTime) {
        ear?.endTurn()
        if let interrupted, report.stopped == nil { report.stopped = now - interrupted }
    }

    private mutating func toolCalled(_ id: String, _ name: String, at now: MediaTime) {
        report.tools.append(name)
        if name != Self.tool.name {
            find(
                .unknownTool,
                "the agent called the tool \"\(name.prefix(60))\"; start named only \"\(Self.tool.name)\"",
                at: now)
        }
        guard toolIds.insert(id).inserted else {
            find(
                .toolIdUsedTwice, "two calls of tools have the id \"\(id.prefix(60))\"; the second is dropped", at: now)
            return
        }
        if toolAnswers.count < 32 { toolAnswers.append((now + Self.toolDelay, id, name)) }
    }

    private mutating func leave(_ what: String, _ cause: String?, at now: MediaTime, into output: inout Output) {
        guard step != .ending else { return }
        let words = cause.map { ": \($0)" } ?? ""
        find(.hungUpEarly, "the agent \(what) \(place)\(words); the rest could not be checked", at: now)
        finish(at: now, into: &output)
        output.closes = true
    }

    private mutating func judgeSilence(at now: MediaTime) {
        guard let ear, ear.total >= .seconds(1), ear.peak < AgentCheckEar.audiblePeak else { return }
        if !report.findings.contains(where: { $0.code == .silentSound }) {
            find(
                .silentSound, "a second of the agent's sound holds nothing that can be heard; is the format right?",
                at: now)
        }
    }

    /// At the end: what only the whole tells.
    mutating func judge(_ ear: AgentCheckEar, at now: MediaTime) {
        if report.tools.isEmpty, report.isPassed { report.notes.append("the agent called no tool") }
    }
}
