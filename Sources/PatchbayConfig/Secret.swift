/// A credential that cannot print itself.
///
/// Descriptions, dumps and string interpolation show `[secret]`; it has no encoding. Where the value has to leave, ask
/// for it by ``reveal()``, which is easy to find in a review.
public struct Secret: Sendable {
    private let value: String

    public init(_ value: String) { self.value = value }

    /// The value itself. Hand it to the peer that asks for it and to nobody else: no log, no message, no metric.
    public func reveal() -> String { value }
}

extension Secret: Equatable {
    /// Compares in a time that depends on the lengths only, so that nobody can find a value out byte by byte.
    public static func == (lhs: Secret, rhs: Secret) -> Bool {
        let a = Array(lhs.value.utf8)
        let b = Array(rhs.value.utf8)
        var difference: UInt8 = a.count == b.count ? 0 : 1
        for index in 0..<min(a.count, b.count) { difference |= a[index] ^ b[index] }
        return difference == 0
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "[secret]" }
    public var debugDescription: String { "[secret]" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
