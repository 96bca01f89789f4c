import Synchronization

/// Remembers whether settings were asked for any of some fields.
///
/// A component that objects to its settings without having asked for a value that is wrong itself objects to what is
/// really written.
final class FieldWatch: Sendable {
    private let names: Set<String>
    private let asked = Atomic(false)

    init(_ names: Set<String>) { self.names = names }

    var hasBeenAsked: Bool { asked.load(ordering: .relaxed) }

    func note(_ name: String) {
        if names.contains(name) { asked.store(true, ordering: .relaxed) }
    }
}
