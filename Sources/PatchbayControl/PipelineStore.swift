public import Foundation
public import PatchbayConfig
import Synchronization

/// Where a server's pipelines come from, so that they can be read again while it runs.
public struct PipelineSource: Sendable {
    /// Reads everything anew. Awaited on a thread of its own, never on an event loop.
    public var load: @Sendable () async -> (set: PipelineSet?, diagnostics: [Diagnostic])
    /// Checks one document that is not in force, beside the pipelines that are. It takes the place of the one with its file.
    public var check: @Sendable (SourceText, PipelineSet) async -> [Diagnostic]
    /// Reads an agent that a running call is given; `nil` where calls only have their own.
    public var readAgent: AgentReader?

    /// Reads one agent from JSON, for a place in a running call.
    public typealias AgentReader =
        @Sendable (_ bytes: [UInt8], _ place: AgentPlace) async -> (
            backend: PipelinePlan.Backend?, diagnostics: [Diagnostic]
        )

    public init(
        load: @escaping @Sendable () async -> (set: PipelineSet?, diagnostics: [Diagnostic]),
        check: @escaping @Sendable (SourceText, PipelineSet) async -> [Diagnostic],
        readAgent: AgentReader? = nil
    ) {
        self.load = load
        self.check = check
        self.readAgent = readAgent
    }

    /// Files and folders.
    ///
    /// - Parameter environment: Asked before each load, so that what an `.env` file says can change too. What it throws
    ///   becomes a finding.
    public static func files(
        _ paths: [String], registry: ComponentRegistry, options: LoadOptions = LoadOptions(),
        environment: @escaping @Sendable () async throws -> [String: String]
    ) -> PipelineSource {
        PipelineSource(
            load: {
                do {
                    return PipelineSet.load(
                        paths, registry: registry, environment: try await environment(), options: options)
                } catch {
                    return (nil, [Diagnostic(file: "", .unreadableFile, "\(error)")])
                }
            },
            check: { source, set in
                do {
                    return set.check(
                        source, registry: registry, environment: try await environment(), options: options)
                } catch {
                    return [Diagnostic(file: "", .unreadableFile, "\(error)")]
                }
            },
            readAgent: { bytes, place in
                do {
                    return place.readAgent(bytes, registry: registry, environment: try await environment())
                } catch {
                    return (nil, [Diagnostic(file: "", .unreadableFile, "\(error)")])
                }
            })
    }
}

/// The pipelines in force, and how they came to be.
///
/// A new set takes the place of the old one in one step, between two calls. A call takes everything it needs from the set when
/// it begins; what changes later does not reach it.
public final class PipelineStore: Sendable {
    /// Sets that are kept, the one in force among them.
    public static let maximumRevisions = 10

    /// What brought a set into force.
    public enum Cause: String, Sendable, Codable {
        case start, signal, http, watch, host, rollback

        /// Whether somebody wants what the files hold, whatever that is.
        fileprivate var isExplicit: Bool { self != .signal && self != .watch }
    }

    /// A set with its number. Numbers only grow.
    public struct Revision: Sendable {
        public var number: Int
        public var set: PipelineSet
        /// When it came into force.
        public var since: Date
        public var cause: Cause
        /// The revision whose set it is again, after a rollback.
        public var restored: Int?
        /// After a rollback: the revision that was left, which the files still hold as far as is known. Signals and watching
        /// pass over it until a file says something else; whoever asks for a reload gets it.
        public var heldBack: Int?
        /// How long the set took to load.
        public var loading: Duration
        /// Pipelines that are new or have another version than in the set before.
        public var changed: [String] = []
        /// Pipelines of the set before that are no longer there.
        public var removed: [String] = []

        fileprivate mutating func compare(with former: PipelineSet) {
            changed = set.documents.filter { former.document(named: $0.name)?.version != $0.version }.map(\.name)
            removed = former.documents.filter { set.document(named: $0.name) == nil }.map(\.name)
        }
    }

    /// A load that failed.
    public struct Failure: Sendable {
        public var at: Date
        public var cause: Cause
        public var diagnostics: [Diagnostic]
    }

    /// What a reload or a rollback did.
    public enum Outcome: Sendable {
        /// A new set is in force, perhaps with warnings.
        case loaded(Revision, [Diagnostic])
        /// The documents are those in force. Credentials and environment were read anew all the same.
        case unchanged(Revision, [Diagnostic])
        /// The set has errors; the one in force stays.
        case refused(Failure, inForce: Revision)
        /// A former set is in force again.
        case rolledBack(Revision)
        /// The documents are those that a rollback left; the set in force stays until one of them changes, or somebody asks for
        /// a reload. The revision's ``Revision/heldBack`` says which they are.
        case heldBack(Revision, [Diagnostic])
        /// There is nothing to read, or nothing to go back to.
        case impossible(String, inForce: Revision)
    }

    private struct State {
        var current: Revision
        /// Oldest first.
        var former: [Revision] = []
        var lastFailure: Failure?
        /// The documents of the revision that the first of some rollbacks left.
        var left: [String]?
        /// Reloads that wait for the next load; all of them are content with it.
        var waiting: [(cause: Cause, continuation: CheckedContinuation<Outcome, Never>)] = []
        var isLoading = false
    }

    private let state: Mutex<State>
    private let source: PipelineSource?
    private let clock: @Sendable () -> Date
    private let thread = QuietThread()

    /// - Parameters:
    ///   - set: In force from the beginning.
    ///   - source: Where a reload reads; `nil` for a host whose pipelines do not come from files.
    ///   - clock: What time it is.
    public init(
        _ set: PipelineSet, source: PipelineSource? = nil, clock: @escaping @Sendable () -> Date = { Date() }
    ) {
        state = Mutex(State(current: Revision(number: 1, set: set, since: clock(), cause: .start, loading: .zero)))
        self.source = source
        self.clock = clock
    }

    /// The set in force. Costs a lock and no look at the disk.
    public var current: Revision { state.withLock { $0.current } }
    /// The sets that a rollback can go back to, the latest first.
    public var former: [Revision] { state.withLock { $0.former.reversed() } }
    /// The last load, when it failed.
    public var lastFailure: Failure? { state.withLock { $0.lastFailure } }
    /// Whether there is something to reload from.
    public var canReload: Bool { source != nil }

    /// Reads an agent that a running call is given. May read files and speak texts: not on an event loop.
    ///
    /// - Returns: `nil` when the host gave no means to.
    func readAgent(
        _ bytes: [UInt8], for place: AgentPlace
    ) async -> (backend: PipelinePlan.Backend?, diagnostics: [Diagnostic])? {
        guard let read = source?.readAgent else { return nil }
        return await Task(executorPreference: thread) { await read(bytes, place) }.value
    }

    /// Reloads that wait for the next load.
    var waitingCount: Int { state.withLock { $0.waiting.count } }

    /// The document of a name and version in one of the sets that are kept, with the set.
    func document(named name: String, version: String) -> (document: PipelineDocument, set: PipelineSet)? {
        let sets = state.withLock { [$0.current] + $0.former.reversed() }.map(\.set)
        for set in sets {
            if let document = set.document(named: name), document.version == version { return (document, set) }
        }
        return nil
    }

    /// Checks a document that is not in force, as if it stood beside those that are, or in the place of the one with its
    /// name. Bounded by the reader's own limits.
    ///
    /// - Returns: `nil` when the host gave no means to check.
    func check(_ bytes: [UInt8]) async -> [Diagnostic]? {
        guard let source else { return nil }
        let set = current.set
        // A document that is in force under that name says where the files lie that it names; any other lies beside them.
        let folder = set.documents.first.map { $0.file.prefix(upTo: $0.file.lastIndex(of: "/") ?? $0.file.startIndex) }
        var file = folder.map { $0.isEmpty ? "document.json" : "\($0)/document.json" } ?? "document.json"
        if case .object(let members)? = try? SourceText(file: file, bytes: bytes).readJSON().content,
            case .string(let name)? = members.first(where: { $0.key == "name" })?.value.content
        {
            file = set.document(named: name)?.file ?? file
        }
        let text = SourceText(file: file, bytes: bytes)
        return await Task(executorPreference: thread) { await source.check(text, set) }.value
    }

    // MARK: Changes

    /// Loads the set from its source and puts it into force, if it is sound.
    ///
    /// Loads never overlap. Reloads that are asked for while one runs wait for one more load, which serves them all.
    public func reload(_ cause: Cause) async -> Outcome {
        guard let source else {
            return .impossible("the pipelines of this server do not come from files", inForce: current)
        }
        return await withCheckedContinuation { continuation in
            let starts = state.withLock { state in
                state.waiting.append((cause, continuation))
                defer { state.isLoading = true }
                return !state.isLoading
            }
            if starts {
                Task(executorPreference: thread) { await self.work(source) }
            }
        }
    }

    /// Puts the set into force that was before the one that is.
    public func rollback() -> Outcome {
        let now = clock()
        // What is dropped is given back outside the lock.
        var dropped: Revision?
        let outcome: Outcome = state.withLock { state in
            guard let former = state.former.popLast() else {
                return .impossible("there is no former set of pipelines to go back to", inForce: state.current)
            }
            dropped = state.current
            // Who goes back twice still leaves what the files hold.
            state.left = state.left ?? state.current.set.identity
            state.current = Revision(
                number: state.current.number + 1, set: former.set, since: now, cause: .rollback,
                restored: former.restored ?? former.number, heldBack: state.current.heldBack ?? state.current.number,
                loading: .zero)
            if let dropped { state.current.compare(with: dropped.set) }
            return .rolledBack(state.current)
        }
        withExtendedLifetime(dropped) {}
        return outcome
    }

    /// Puts a set into force that the host made itself.
    @discardableResult
    public func replace(with set: PipelineSet) -> Outcome { settle(.host, (set, []), loading: .zero) }

    /// Loads for all who wait, as long as anybody does. On the thread for it.
    private func work(_ source: PipelineSource) async {
        while true {
            let batch = state.withLock { state in
                defer { state.waiting = [] }
                state.isLoading = !state.waiting.isEmpty
                return state.waiting
            }
            guard let first = batch.first else { return }
            let start = ContinuousClock.now
            let result = await source.load()
            let cause = batch.first { $0.cause.isExplicit }?.cause ?? first.cause
            let outcome = settle(cause, result, loading: ContinuousClock.now - start)
            for entry in batch { entry.continuation.resume(returning: outcome) }
        }
    }

    private func settle(
        _ cause: Cause, _ result: (set: PipelineSet?, diagnostics: [Diagnostic]), loading: Duration
    ) -> Outcome {
        let now = clock()
        func refused(_ diagnostics: [Diagnostic]) -> Outcome {
            let failure = Failure(at: now, cause: cause, diagnostics: diagnostics)
            return state.withLock { state in
                state.lastFailure = failure
                return .refused(failure, inForce: state.current)
            }
        }
        guard let set = result.set else { return refused(result.diagnostics) }
        // A folder in the middle of a deployment, or mounted too late, must not take every number off the air.
        if set.documents.isEmpty, cause != .host, !current.set.documents.isEmpty {
            return refused(result.diagnostics.asLossOfAll)
        }
        let identity = set.identity
        var dropped: [Revision] = []
        let outcome: Outcome = state.withLock { state in
            state.lastFailure = nil
            if identity == state.left, !cause.isExplicit, identity != state.current.set.identity {
                return .heldBack(state.current, result.diagnostics)
            }
            state.left = nil
            if identity == state.current.set.identity {
                dropped = [state.current]
                state.current.set = set
                state.current.heldBack = nil
                return .unchanged(state.current, result.diagnostics)
            }
            let former = state.current
            state.former.append(former)
            if state.former.count >= Self.maximumRevisions { dropped = [state.former.removeFirst()] }
            state.current = Revision(
                number: former.number + 1, set: set, since: now, cause: cause, loading: loading)
            state.current.compare(with: former.set)
            return .loaded(state.current, result.diagnostics)
        }
        withExtendedLifetime(dropped) {}
        return outcome
    }
}

extension PipelineSet {
    /// What makes two sets the same: the documents, in order, by name, file and version; and the tenants.
    fileprivate var identity: [String] {
        documents.map { "\($0.name)\n\($0.file)\n\($0.version)" } + [tenants.version]
    }
}

extension [Diagnostic] {
    /// The findings of a load that found no pipeline where there were some.
    fileprivate var asLossOfAll: [Diagnostic] {
        let file = first { $0.code == .noDocuments }?.file ?? ""
        return filter { $0.code != .noDocuments } + [
            Diagnostic(
                file: file, .noDocuments, "no pipeline is left; those in force stay",
                suggestion: .init("put the files back; to answer no calls at all, stop the server"))
        ]
    }
}
