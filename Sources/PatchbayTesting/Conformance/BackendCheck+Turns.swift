import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore

// Interruptions, tools, and what the vendor is told beside the sound.
extension BackendCheck {
    mutating func stopsWhenTheAgentDoes() {
        guard var run = readyRun(outputFormat),
            run.act(.audio(ByteBuffer(bytes: run.sound(milliseconds: 2000, outputFormat))))
        else { return }
        run.pass(500)
        findings.expect(!run.played.isEmpty, .agentInterruption, "nothing of the turn was played in 500 ms")
        guard run.act(.interruption) else { return }
        run.pass(500)
        findings.expect(
            run.clears > 0 && run.played.isEmpty, .agentInterruption,
            "after the vendor cut its turn \(run.played.count) bytes of it were played, and the carrier was "
                + (run.clears > 0 ? "told to forget" : "not told to forget what it held"))
        expectSpeech(&run, .agentInterruption, "the turn after one that the vendor cut")
        expectGoingOn(run, .agentInterruption, "after a turn that the vendor cut")
        close(run, "an interruption by the vendor")
    }

    mutating func stopsWhenTold() {
        guard var run = readyRun(outputFormat),
            run.act(.audio(ByteBuffer(bytes: run.sound(milliseconds: 2000, outputFormat))))
        else { return }
        run.pass(500)
        let heard = run.heard.count
        run.interrupt()
        run.pass(500)
        findings.expect(
            run.played.isEmpty, .ownInterruption,
            "after the call cut the turn \(run.played.count) bytes of it were played")
        for case .heard(let span) in run.heard.dropFirst(heard) {
            let isTrue = abs((span - .milliseconds(500)).milliseconds) <= 100
            findings.expect(
                isTrue, .ownInterruption,
                "the caller heard 500 ms of the turn; the vendor was told \(span.milliseconds) ms")
        }
        run.act(.turnEnded)
        expectSpeech(&run, .ownInterruption, "the turn after one that the call cut")
        expectGoingOn(run, .ownInterruption, "after a turn that the call cut")
        close(run, "an interruption by the call")
    }

    mutating func dropsLateSound() {
        for isOwn in [false, true] {
            guard var run = readyRun(outputFormat),
                run.act(.audio(ByteBuffer(bytes: run.sound(milliseconds: 1000, outputFormat))))
            else { return }
            run.pass(300)
            // What was on its way when the turn was cut.
            let late = run.peer.messages(for: .audio(ByteBuffer(bytes: run.sound(milliseconds: 500, outputFormat))))
            if isOwn { run.interrupt() } else if !run.act(.interruption) { continue }
            run.say(late ?? [])
            run.pass(1000)
            findings.expect(
                run.played.isEmpty, .lateSound,
                "\(run.played.count) bytes of a turn that \(isOwn ? "the call" : "the vendor") had cut came late and "
                    + "were played")
            if isOwn { run.act(.turnEnded) }
            expectSpeech(&run, .lateSound, "the turn after late sound")
        }
    }

    // MARK: Tools

    var toolName: String { options.tools.first?.name ?? "look_up" }

    mutating func declaresTools() {
        guard !options.tools.isEmpty, let run = readyRun() else { return }
        var declared: [String]?
        for case .begun(let tools, _) in run.heard { declared = tools }
        findings.expect(
            declared == options.tools.map(\.name), .toolDeclaration,
            "the call's tools are \(options.tools.map(\.name)); the vendor was told of \(declared ?? [])")
    }

    mutating func callsTools() {
        guard var run = readyRun() else { return }
        let calls = [
            ToolCall(id: "call_17", name: toolName, arguments: #"{"order":17,"note":"say \"yes\" – ok"}"#),
            ToolCall(id: "call_18", name: toolName, arguments: "{}"),
            ToolCall(
                id: "call_19", name: toolName, arguments: #"{"text":"\#(String(repeating: "x", count: 50_000))"}"#),
        ]
        for call in calls { guard run.act(.toolCall(call)) else { return } }
        let called = run.toolCalls.map(\.call)
        for call in calls {
            guard let found = called.first(where: { $0.id == call.id }) else {
                findings.add(.tools, "the vendor called \(call.name) as \(call.id); the call was not told")
                continue
            }
            findings.expect(
                found.name == call.name && Self.isSameJSON(found.arguments, call.arguments), .tools,
                "the vendor called \(call.name) with \(call.arguments.prefix(80)); the call was told of \(found.name) "
                    + "with \(found.arguments.prefix(80))")
        }
        findings.expect(called.count == calls.count, .tools, "\(calls.count) calls became \(called.count)")
        let answers = ["plain \"words\"\nin two lines\u{1}", #"{"state":"sent","days":[1,2]}"#, ""]
        // The last one first: answers come when they come.
        for (call, answer) in zip(called, answers).reversed() {
            let before = run.heard.count
            run.answer(call, answer)
            run.pass(40)
            let results = run.heard.dropFirst(before).compactMap {
                if case .toolResult(let it) = $0 { it } else { nil }
            }
            findings.expect(
                results.contains { $0.id == call.id && ($0.output == answer || Self.isSameJSON($0.output, answer)) },
                .tools,
                "\(call.id) was answered with \"\(answer)\"; the vendor was told "
                    + "\(results.map { "\($0.id): \($0.output)" })"
            )
        }
        expectGoingOn(run, .tools, "after calls of tools")
        close(run, "tools")
    }

    mutating func tellsFailedTools() {
        guard var run = readyRun(),
            run.act(.toolCall(ToolCall(id: "call_20", name: toolName, arguments: "{}"))),
            let call = run.toolCalls.first?.call
        else { return }
        run.answer(call, "the warehouse does not answer", isError: true)
        run.pass(40)
        let results = run.heard.compactMap { if case .toolResult(let result) = $0 { result } else { nil } }
        findings.expect(
            results.contains { $0.id == call.id && $0.isError && $0.output.contains("the warehouse does not answer") },
            .toolErrors,
            "a tool failed; the vendor was told \(results.map { "\($0.output)\($0.isError ? ", an error" : "")" })")
        expectGoingOn(run, .toolErrors, "after a tool failed")
        close(run, "a tool that failed")
    }

    mutating func cancelsTools() {
        guard var run = readyRun() else { return }
        run.act(.toolCall(ToolCall(id: "call_21", name: toolName, arguments: "{}")))
        guard run.act(.toolCallsCancelled(ids: ["call_21", "call_never"])) else { return }
        findings.expect(
            run.cancelledTools == ["call_21"], .toolCancellation,
            "the vendor took call_21 back; the call was told of \(run.cancelledTools)")
        expectGoingOn(run, .toolCancellation, "after calls were taken back")
        close(run, "calls that were taken back")
    }

    static func isSameJSON(_ one: String, _ other: String) -> Bool {
        guard one != other else { return true }
        func value(_ text: String) -> NSObject? {
            try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed) as? NSObject
        }
        guard let one = value(one), let other = value(other) else { return false }
        return one.isEqual(other)
    }

    // MARK: Words beside the sound

    mutating func addsContext() {
        guard var run = readyRun() else { return }
        for text in ["The caller's account is 4711, \"gold\".", "Seite 2 ist offen\n– ok"] {
            let before = run.heard.count
            findings.expect(run.addContext(text), .context, "a call whose agent is ready takes no context")
            run.pass(40)
            let told = run.heard.dropFirst(before).compactMap { if case .context(let it) = $0 { it } else { nil } }
            findings.expect(
                told.contains { $0.contains(text) }, .context,
                "\"\(text)\" was added; the vendor was told \(told)")
        }
        expectGoingOn(run, .context, "after context was added")
        close(run, "added context")
    }

    mutating func asksForAnAwaitedAnswer() {
        for history in [
            [ConversationTurn(.agent, "Good morning."), ConversationTurn(.caller, "Please block my card.")],
            [ConversationTurn(.caller, "Please block my card."), ConversationTurn(.agent, "I am going to")],
        ] {
            for isAwaited in [true, false] {
                guard let run = readyRun(history: history, isAnswerAwaited: isAwaited) else { return }
                findings.expect(
                    run.heard.contains(.answerAsked) == isAwaited, .awaitedAnswer,
                    "behind \(history.map(\.text)) an answer is \(isAwaited ? "" : "not ")awaited; the vendor was "
                        + (isAwaited ? "not asked to speak" : "asked to speak"))
                close(run, "with a history")
            }
        }
    }

    mutating func handsTheHistoryOver() {
        let history = [
            ConversationTurn(.caller, "I have lost my \"card\"."),
            ConversationTurn(.agent, "I am sorry to hear that…"),
            ConversationTurn(.caller, "Please block it."),
        ]
        guard let run = readyRun(history: history) else { return }
        var begun: [ConversationTurn] = []
        var told = ""
        for heard in run.heard {
            switch heard {
            case .begun(_, let turns): begun = turns
            case .context(let text): told += text + "\n"
            default: break
            }
        }
        var rest = told[...]
        let isTold = history.allSatisfy { turn in
            guard let range = rest.range(of: turn.text) else { return false }
            rest = rest[range.upperBound...]
            return true
        }
        findings.expect(
            begun == history || isTold, .history,
            "the conversation so far is \(history.map(\.text)); the vendor was told \(begun.map(\.text))"
                + (told.isEmpty ? "" : " and \"\(told)\""))
        close(run, "a conversation with a history")
    }

    mutating func tellsOfToolsUsed() {
        let history = [
            ConversationTurn(.agent, "Shall I block it?"), ConversationTurn(.caller, "Please block it."),
        ]
        let uses = [
            ToolUse("find_card", arguments: #"{"digits":"4417"}"#, answer: "It ends in 4417."),
            ToolUse("block_card", arguments: #"{"card":"c-93"}"#),
        ]
        for isAwaited in [false, true] {
            guard let run = readyRun(history: history, isAnswerAwaited: isAwaited, toolUses: uses) else { return }
            var told = ""
            for heard in run.heard {
                if case .answerAsked = heard { break }
                switch heard {
                case .begun(_, let turns): told += turns.map(\.text).joined(separator: "\n") + "\n"
                case .context(let text): told += text + "\n"
                default: break
                }
            }
            findings.expect(
                ["It ends in 4417.", "c-93"].allSatisfy(told.contains), .toolUses,
                "find_card and block_card were called before; the vendor was told \"\(told)\""
                    + (isAwaited ? " before it was asked to speak" : ""))
            close(run, "a conversation with tools used before")
        }
    }
}
