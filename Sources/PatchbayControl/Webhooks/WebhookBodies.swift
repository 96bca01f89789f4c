import Foundation
import Hummingbird
import NIOCore
import Synchronization

/// Reads bodies whose sender is only known when they are whole: into bounded memory, in bounded time, and so that no address takes
/// the room of the others.
final class WebhookBodies: Sendable {
    struct Limits: Sendable {
        /// A longer body needs one of the places for large ones.
        var largeBodyBytes = 1 << 20
        /// Large bodies that are in memory at once; each address has one place.
        var largeBodies = 4
        /// Longest body.
        var bodyBytes: Int
        /// What all bodies that have come, or come just now, may have together.
        var bytes: Int
        /// The same of one address.
        var bytesPerAddress: Int
        /// Longest time from the head of a request to the end of its body. Waiting for a place is part of it.
        var time = Duration.seconds(60)

        /// - Parameter bodyBytes: Longest body.
        init(bodyBytes: Int) {
            self.bodyBytes = bodyBytes
            bytesPerAddress = bodyBytes + (16 << 20)
            bytes = 2 * bodyBytes + (64 << 20)
        }
    }

    private struct Waiter {
        var id: UInt64
        var address: String
        var continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var bytes = 0
        var bytesByAddress: [String: Int] = [:]
        /// Addresses whose large bodies are in memory.
        var large: Set<String> = []
        var waiters: [Waiter] = []
        var nextWaiter: UInt64 = 0
        var cancelled: Set<UInt64> = []
    }

    /// What one request holds.
    private final class Share: Sendable {
        let address: String
        let held = Mutex((bytes: 0, isLarge: false))
        init(_ address: String) { self.address = address }
    }

    let limits: Limits
    private let state = Mutex(State())

    init(_ limits: Limits) { self.limits = limits }

    /// Reads a body and does `work` with it; until then it counts.
    ///
    /// - Throws: `HTTPError` 413 for one that is too long, 408 for one that takes too long, 503 where there is no room.
    func read<Answer: Sendable>(
        _ body: RequestBody, from address: String, _ work: (ByteBuffer) async throws -> Answer
    ) async throws -> Answer {
        let share = Share(address)
        defer { giveBack(share) }
        let buffer = try await withThrowingTaskGroup(of: ByteBuffer?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await self.collect(body, share) }
            group.addTask { [limits] in
                try await Task.sleep(for: limits.time)
                return nil
            }
            return try await group.next() ?? nil
        }
        guard let buffer else {
            throw HTTPError(
                .requestTimeout, message: "the body was not whole within \(limits.time.components.seconds) seconds")
        }
        return try await work(buffer)
    }

    private func collect(_ body: RequestBody, _ share: Share) async throws -> ByteBuffer {
        var buffer = ByteBuffer()
        for try await chunk in body {
            let count = buffer.readableBytes + chunk.readableBytes
            guard count <= limits.bodyBytes else {
                throw HTTPError(.contentTooLarge, message: "the body has more than \(limits.bodyBytes) bytes")
            }
            guard take(chunk.readableBytes, share) else { throw Self.full("too much is being received") }
            if count > limits.largeBodyBytes, !share.held.withLock({ $0.isLarge }) {
                guard await takePlace(share.address) else { throw CancellationError() }
                share.held.withLock { $0.isLarge = true }
            }
            buffer.writeImmutableBuffer(chunk)
        }
        return buffer
    }

    private static func full(_ reason: String) -> HTTPError {
        HTTPError(
            .serviceUnavailable, headers: [.retryAfter: "30"], message: "\(reason) just now; send it again later")
    }

    private func take(_ bytes: Int, _ share: Share) -> Bool {
        let isTaken = state.withLock { state in
            let own = state.bytesByAddress[share.address, default: 0] + bytes
            guard state.bytes + bytes <= limits.bytes, own <= limits.bytesPerAddress else { return false }
            state.bytes += bytes
            state.bytesByAddress[share.address] = own
            return true
        }
        if isTaken { share.held.withLock { $0.bytes += bytes } }
        return isTaken
    }

    /// Waits for the address's place among the large bodies: the sender is held back by its socket meanwhile, so that two recordings
    /// of one vendor come one after the other instead of one of them being lost.
    ///
    /// - Returns: False when the task was cancelled.
    private func takePlace(_ address: String) async -> Bool {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        // The end may come between the answer and its receipt.
        defer { state.withLock { _ = $0.cancelled.remove(id) } }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let verdict: Bool? = state.withLock { state in
                    if state.cancelled.contains(id) { return false }
                    if Self.enter(address, &state, limits) { return true }
                    state.waiters.append(Waiter(id: id, address: address, continuation: continuation))
                    return nil
                }
                if let verdict { continuation.resume(returning: verdict) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> Waiter? in
                guard let index = state.waiters.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.waiters.remove(at: index)
            }
            waiter?.continuation.resume(returning: false)
        }
    }

    private static func enter(_ address: String, _ state: inout State, _ limits: Limits) -> Bool {
        guard state.large.count < limits.largeBodies else { return false }
        return state.large.insert(address).inserted
    }

    private func giveBack(_ share: Share) {
        let held = share.held.withLock { $0 }
        let next = state.withLock { state -> Waiter? in
            state.bytes -= held.bytes
            let own = state.bytesByAddress[share.address, default: 0] - held.bytes
            state.bytesByAddress[share.address] = own > 0 ? own : nil
            guard held.isLarge else { return nil }
            state.large.remove(share.address)
            guard let index = state.waiters.firstIndex(where: { Self.enter($0.address, &state, limits) }) else {
                return nil
            }
            return state.waiters.remove(at: index)
        }
        next?.continuation.resume(returning: true)
    }
}
