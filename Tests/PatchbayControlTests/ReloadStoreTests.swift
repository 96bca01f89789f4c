import Foundation
import Glibc
import NIOCore
import Patchbay
import Synchronization
import Testing

@testable import PatchbayControl

/// Documents that a test changes, and the source that reads them.
final class ShelfOfDocuments: Sendable {
    private let texts: Mutex<[String]>
    private let loads = Mutex(0)

    init(_ texts: String...) { self.texts = Mutex(texts) }

    func put(_ new: String...) { texts.withLock { $0 = new } }
    var loadCount: Int { loads.withLock { $0 } }

    func load() throws -> (set: PipelineSet?, diagnostics: [Diagnostic]) {
        loads.withLock { $0 += 1 }
        let sources = texts.withLock { $0 }.enumerated().map {
            SourceText(file: "Pipelines/\($0.offset).json", $0.element)
        }
        return PipelineSet.load(sources: sources, registry: try .standard(), environment: [:])
    }

    func set() throws -> PipelineSet { try #require(try load().set) }

    var source: PipelineSource {
        PipelineSource(
            load: { (try? self.load()) ?? (nil, []) },
            check: { source, set in
                guard let registry = try? ComponentRegistry.standard() else { return [] }
                return set.check(source, registry: registry, environment: [:])
            })
    }
}

func echo(_ name: String, _ description: String = "", number: String = "+15550100001") -> String {
    #"{"name": "\#(name)", "description": "\#(description)", "numbers": ["\#(number)"], "transport": "twilio", "stages": ["echo"]}"#
}

@Suite struct ReloadStoreTests {
    @Test func aNewSetGetsTheNextNumberAndAnEqualOneDoesNot() async throws {
        let shelf = ShelfOfDocuments(echo("a", "one"))
        let start = Date(timeIntervalSince1970: 1000)
        let store = PipelineStore(try shelf.set(), source: shelf.source, clock: { start })
        #expect(store.current.number == 1 && store.current.cause == .start && store.current.since == start)
        guard case .unchanged(let same, _) = await store.reload(.signal) else {
            Issue.record("it changed")
            return
        }
        #expect(same.number == 1 && same.cause == .start)
        shelf.put(echo("a", "two"), echo("b", number: "+15550100002"))
        guard case .loaded(let second, let warnings) = await store.reload(.http) else {
            Issue.record("it was not loaded")
            return
        }
        #expect(second.number == 2 && second.cause == .http && warnings.isEmpty)
        #expect(second.changed == ["a", "b"] && second.removed == [])
        #expect(store.current.set.route("+15550100002")?.document.name == "b")
        #expect(store.former.map(\.number) == [1])
    }

    @Test func anInvalidSetChangesNothingAndIsRemembered() async throws {
        let shelf = ShelfOfDocuments(echo("a", "one"))
        let store = PipelineStore(try shelf.set(), source: shelf.source)
        shelf.put(echo("a", "two"), "{")
        guard case .refused(let failure, let inForce) = await store.reload(.watch) else {
            Issue.record("it was not refused")
            return
        }
        #expect(failure.diagnostics.map(\.code) == [.syntax] && failure.cause == .watch)
        #expect(inForce.number == 1 && store.current.set.documents.first?.summary == "one")
        #expect(store.lastFailure?.diagnostics.count == 1)
        shelf.put(echo("a", "one"))
        _ = await store.reload(.watch)
        #expect(store.lastFailure == nil, "what is sound again is no failure any more")
    }

    @Test func rollingBackGoesFurtherEachTime() async throws {
        let shelf = ShelfOfDocuments(echo("a", "0"))
        let store = PipelineStore(try shelf.set(), source: shelf.source)
        for text in 1...12 {
            shelf.put(echo("a", "\(text)"))
            _ = await store.reload(.http)
        }
        #expect(store.current.number == 13)
        #expect(store.former.count == PipelineStore.maximumRevisions - 1)
        for step in 1...9 {
            guard case .rolledBack(let revision) = store.rollback() else {
                Issue.record("step \(step)")
                return
            }
            #expect(revision.number == 13 + step && revision.restored == 13 - step && revision.cause == .rollback)
            #expect(revision.set.documents.first?.summary == "\(12 - step)" && revision.changed == ["a"])
        }
        guard case .impossible(let reason, let inForce) = store.rollback() else {
            Issue.record("there was more to go back to")
            return
        }
        #expect(reason.contains("no former set") && inForce.number == 22)
        #expect(store.current.heldBack == 13, "what the files hold")
        guard case .heldBack(let same, _) = await store.reload(.watch) else {
            Issue.record("what was left came back by itself")
            return
        }
        #expect(same.number == 22 && same.heldBack == 13)
        _ = await store.reload(.http)
        #expect(store.current.heldBack == nil)
        #expect(store.current.number == 23 && store.current.set.documents.first?.summary == "12")
        guard case .rolledBack(let again) = store.rollback() else {
            Issue.record("nothing to go back to")
            return
        }
        #expect(again.restored == 4, "the number it had when it was loaded")
    }

    @Test(arguments: [PipelineStore.Cause.watch, .signal])
    func whatARollbackLeftComesBackOnlyWhenAFileChanges(cause: PipelineStore.Cause) async throws {
        let shelf = ShelfOfDocuments(echo("a", "one"))
        let store = PipelineStore(try shelf.set(), source: shelf.source)
        shelf.put(echo("a", "two"))
        _ = await store.reload(cause)
        #expect(store.rollback().revision.heldBack == 2)
        for _ in 0..<2 {
            guard case .heldBack(let revision, _) = await store.reload(cause) else {
                Issue.record("the files say nothing new")
                return
            }
            #expect(revision.number == 3 && revision.set.documents.first?.summary == "one")
        }
        shelf.put("{")
        guard case .refused = await store.reload(cause) else {
            Issue.record("it has an error")
            return
        }
        shelf.put(echo("a", "two"))
        guard case .heldBack = await store.reload(cause) else {
            Issue.record("a mistake in between does not bring it back")
            return
        }
        shelf.put(echo("a", "three"))
        guard case .loaded(let third, _) = await store.reload(cause) else {
            Issue.record("a file has changed")
            return
        }
        #expect(third.number == 4 && third.heldBack == nil && third.set.documents.first?.summary == "three")
        shelf.put(echo("a", "two"))
        guard case .loaded = await store.reload(cause) else {
            Issue.record("it is left alone only as long as nothing else has been in force")
            return
        }
    }

    @Test func filesThatHoldWhatIsInForceAgainEndTheHoldingBack() async throws {
        let shelf = ShelfOfDocuments(echo("a", "one"))
        let store = PipelineStore(try shelf.set(), source: shelf.source)
        shelf.put(echo("a", "two"))
        _ = await store.reload(.http)
        _ = store.rollback()
        shelf.put(echo("a", "one"))
        guard case .unchanged(let revision, _) = await store.reload(.watch) else {
            Issue.record("it is what is in force")
            return
        }
        #expect(revision.heldBack == nil && store.current.heldBack == nil)
        shelf.put(echo("a", "two"))
        guard case .loaded = await store.reload(.watch) else {
            Issue.record("a file has changed")
            return
        }
    }

    @Test func aFolderThatHasBeenEmptiedTakesNothingOffTheAir() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("a.json")
        let source = PipelineSource.files([folder.path], registry: try .standard()) { [:] }
        let empty = try #require(await source.load().set)
        let fromNothing = PipelineStore(empty, source: source)
        guard case .unchanged = await fromNothing.reload(.http) else {
            Issue.record("nothing was in force")
            return
        }
        try Data(echo("a").utf8).write(to: file)
        let store = PipelineStore(try #require(await source.load().set), source: source)
        try FileManager.default.removeItem(at: file)
        for cause in [PipelineStore.Cause.watch, .http] {
            guard case .refused(let failure, let inForce) = await store.reload(cause) else {
                Issue.record("it was taken")
                return
            }
            #expect(failure.diagnostics.map(\.code) == [.noDocuments] && failure.diagnostics.hasErrors)
            #expect(failure.diagnostics.first?.file == folder.path && inForce.set.documents.count == 1)
        }
        #expect(store.current.number == 1 && store.current.set.route("+15550100001") != nil)
        store.replace(with: empty)
        #expect(store.current.set.documents.isEmpty, "a host may do what it likes")
    }

    @Test func reloadsThatComeDuringALoadShareTheNextOne() async throws {
        let shelf = ShelfOfDocuments(echo("a", "0"))
        let set = try shelf.set()
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let (arrivals, arrival) = AsyncStream<Void>.makeStream()
        let running = Mutex((now: 0, most: 0))
        let source = PipelineSource(
            load: {
                running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
                arrival.yield()
                for await _ in gate { break }
                running.withLock { $0.now -= 1 }
                return (try? shelf.load()) ?? (nil, [])
            }, check: { _, _ in [] })
        let store = PipelineStore(set, source: source)
        let loadsBefore = shelf.loadCount
        async let first = store.reload(.http)
        for await _ in arrivals { break }
        shelf.put(echo("a", "1"))
        let others = (0..<20).map { _ in Task { await store.reload(.http) } }
        while store.waitingCount < 20 { await Task.yield() }
        opener.yield()
        opener.yield()
        _ = await first
        for other in others {
            let outcome = await other.value
            #expect(outcome.revision.number == 2 && outcome.revision.set.documents.first?.summary == "1")
        }
        #expect(shelf.loadCount - loadsBefore == 2)
        #expect(running.withLock { $0.most } == 1, "loads do not overlap")
    }

    @Test func manyWhoReloadRollBackAndReadSeeWholeSets() async throws {
        let shelf = ShelfOfDocuments(echo("a", "0"), echo("b", "0", number: "+15550100002"))
        let store = PipelineStore(try shelf.set(), source: shelf.source)
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    for round in 0..<15 {
                        let text = "\(worker)-\(round)"
                        shelf.put(echo("a", text), echo("b", text, number: "+15550100002"))
                        _ = await store.reload(.http)
                        if round % 5 == 4 { _ = store.rollback() }
                        let set = store.current.set
                        #expect(Set(set.documents.map(\.summary)).count == 1, "no half of another set")
                    }
                }
            }
        }
        #expect(store.former.count <= PipelineStore.maximumRevisions - 1)
        #expect(zip(store.former, store.former.dropFirst()).allSatisfy { $0.number > $1.number })
    }

    @Test func aHostWithoutFilesCanReplaceItsSet() async throws {
        let store = PipelineStore(try ShelfOfDocuments(echo("a", "one")).set())
        guard case .impossible(let reason, _) = await store.reload(.http) else {
            Issue.record("it loaded something")
            return
        }
        #expect(reason.contains("do not come from files") && !store.canReload)
        store.replace(with: try ShelfOfDocuments(echo("a", "two")).set())
        #expect(store.current.number == 2 && store.current.cause == .host)
        #expect(store.rollback().revision.set.documents.first?.summary == "one")
    }

    @Test func loadingHappensOnAQuietThreadOfItsOwn() async throws {
        let shelf = ShelfOfDocuments(echo("a"))
        let niceness = Mutex<[Int32]>([])
        let source = PipelineSource(
            load: {
                niceness.withLock { $0.append(getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)) }
                await Task.yield()
                niceness.withLock { $0.append(getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)) }
                return (try? shelf.load()) ?? (nil, [])
            }, check: { _, _ in [] })
        let store = PipelineStore(try shelf.set(), source: source)
        _ = await store.reload(.http)
        #expect(niceness.withLock { $0 } == [10, 10])
    }

    @Test func aDocumentOfAStrangerIsNotToldWhatTheMachineHas() async throws {
        let source = PipelineSource.files([], registry: try .standard()) { [:] }
        let set = try ShelfOfDocuments(echo("a")).set()
        for secret in [#"{"file": "/etc/passwd"}"#, #"{"file": "/nowhere/at-all"}"#, #"{"env": "NOT_SET"}"#] {
            let agent = #"{"type": "elevenlabs", "agentId": "a", "apiKey": \#(secret)}"#
            let document = echo("b", number: "+15550100002").replacing(#""echo""#, with: agent)
            let findings = await source.check(SourceText(file: "b.json", document), set)
            #expect(findings.isEmpty, "\(findings.rendered())")
        }
    }

    @Test func aDocumentOfAStrangerNamesFilesOfThePipelinesOnly() async throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-\(UUID().uuidString)")
        let folder = root.appendingPathComponent("Pipelines")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: root) }
        let sound = WAVFile(samples: Tone(440).samples(count: 8000, sampleRate: 8000), sampleRate: 8000)
        try sound.write(to: folder.appendingPathComponent("in.wav").path)
        try sound.write(to: root.appendingPathComponent("out.wav").path)
        try FileManager.default.createSymbolicLink(
            at: folder.appendingPathComponent("link.wav"), withDestinationURL: root.appendingPathComponent("out.wav"))
        try Data(echo("a").utf8).write(to: folder.appendingPathComponent("a.json"))
        let source = PipelineSource.files([folder.path], registry: try .standard()) { [:] }
        let set = try #require(await source.load().set)
        func codes(_ stages: String) async -> [String] {
            let text = #"{"name": "b", "variables": {"place": "x"}, "transport": "twilio", "stages": [\#(stages)]}"#
            return await source.check(SourceText(file: "\(folder.path)/b.json", text), set).filter {
                $0.severity == .error
            }.map { "\($0.code) \($0.path)" }
        }
        for name in ["in.wav", "../Pipelines/in.wav", "\(folder.path)/in.wav"] {
            #expect(await codes(#""echo", {"type": "mixer", "sound": "\#(name)"}"#) == [], "\(name)")
            #expect(await codes(#"{"type": "script", "say": "\#(name)"}"#) == [], "\(name)")
        }
        let outside = ["../out.wav", "link.wav", "/etc/passwd", "\(root.path)/out.wav", "${place}/../../out.wav"]
        for name in outside {
            #expect(
                await codes(#""echo", {"type": "mixer", "sound": "\#(name)"}"#) == ["not-allowed stages[1].sound"],
                "\(name)")
        }
        for name in ["../out.wav", "link.wav", "/etc/passwd.WAV", "${place}.wav"] {
            #expect(await codes(#"{"type": "script", "say": "\#(name)"}"#) == ["not-allowed stages[0].say"])
            #expect(
                await codes(#"{"type": "script", "say": "in.wav", "keys": {"1": "\#(name)"}}"#)
                    == ["not-allowed stages[0].keys"])
        }
        let place = AgentPlace(
            document: try #require(set.documents.first), call: CallVariables(), variables: ["place": "x"],
            joint: .pcm(16_000))
        func given(_ agent: String) throws -> [String] {
            place.readAgent(Array(agent.utf8), registry: try .standard(), environment: [:]).diagnostics.map {
                "\($0.code) \($0.path)"
            }
        }
        try Data("s3cr3t".utf8).write(to: folder.appendingPathComponent("key"))
        #expect(try given(#"{"type": "script", "say": "in.wav"}"#) == [])
        #expect(try given(#"{"type": "script", "say": "link.wav"}"#) == ["not-allowed say"])
        let keyed = #"{"type": "elevenlabs", "agentId": "a", "apiKey": {"file": "key"}}"#
        #expect(try given(keyed) == [])
        for file in ["/etc/passwd", "../key", "/nowhere"] {
            #expect(try given(keyed.replacing(#""key""#, with: "\"\(file)\"")) == ["not-allowed apiKey"])
        }
        let there = await codes(#"{"type": "script", "say": "../out.wav"}"#)
        #expect(
            await codes(#"{"type": "script", "say": "../gone.wav"}"#) == there, "nobody learns which files there are")
    }

    @Test func filesAreReadWithTheEnvironmentOfThatMoment() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let document = echo("a", "one").replacing(#""echo""#, with: #"{"type": "script", "say": "${env.WORDS}"}"#)
        try Data(document.utf8).write(to: folder.appendingPathComponent("a.json"))
        let words = Mutex<String?>("one")
        let source = PipelineSource.files([folder.path], registry: try .standard()) {
            words.withLock { $0 }.map { ["WORDS": $0] } ?? [:]
        }
        func spoken(_ set: PipelineSet?) throws -> String? {
            try set?.route("+15550100001")?.plan(for: CallVariables()).backends[0].settings.string("say")
        }
        let store = PipelineStore(try #require(await source.load().set), source: source)
        words.withLock { $0 = "two" }
        guard case .unchanged(let revision, _) = await store.reload(.signal) else {
            Issue.record("the documents did not change")
            return
        }
        #expect(try spoken(revision.set) == "two")
        words.withLock { $0 = nil }
        guard case .refused(let failure, _) = await store.reload(.signal) else {
            Issue.record("the variable is missing")
            return
        }
        #expect(failure.diagnostics.map(\.code) == [.missingEnvironment])
        #expect(try spoken(store.current.set) == "two")
    }
}
