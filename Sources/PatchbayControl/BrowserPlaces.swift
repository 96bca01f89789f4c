import Synchronization

/// How many callers without a telephone there are, from the handshake to the end of the call.
final class BrowserPlaces: Sendable {
    /// One caller's. It is given back when nobody holds it any more, so no way out of a call can forget it.
    final class Place: Sendable {
        private let places: BrowserPlaces

        fileprivate init(_ places: BrowserPlaces) { self.places = places }

        deinit { places.taken.withLock { $0 -= 1 } }
    }

    private let taken = Mutex(0)

    /// How many there are.
    var takenCount: Int { taken.withLock { $0 } }

    /// - Returns: `nil` when all are taken.
    func take(of limit: Int) -> Place? {
        let isFree = taken.withLock { taken in
            guard taken < limit else { return false }
            taken += 1
            return true
        }
        return isFree ? Place(self) : nil
    }
}
