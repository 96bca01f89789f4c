/// The limits of the agent protocol. What goes beyond one is a fault of the message, which is then dropped.
public enum AgentSocketLimits {
    /// Longest message of an agent, in bytes. A longer one closes the socket with 1009.
    public static let messageBytes = 4 << 20
    /// Longest text of one message, in bytes of UTF-8.
    public static let textBytes = 16 << 10
    /// Longest id and name, in bytes of UTF-8.
    public static let nameBytes = 128
    /// Longest arguments of a tool, in bytes of JSON.
    public static let argumentBytes = 64 << 10
    /// Keys in one `dtmf`.
    public static let keys = 32
    /// Ids in one `toolCancel`.
    public static let cancelledTools = 64
    /// What a `start` tells of earlier turns, in bytes of UTF-8; the oldest are left out beyond it.
    public static let historyBytes = 64 << 10
    /// Longest address of a `transfer`.
    public static let addressBytes = 256
}

extension JSONObject {
    /// A string that may be absent or null, but is nothing else.
    func optionalString(_ name: String) throws(WireError) -> String? {
        guard let value = self[name], !value.isNull else { return nil }
        guard let string = value.string else {
            throw .wrongType(name, expected: "a string", offset: value.range.lowerBound)
        }
        return string
    }

    /// A boolean that may be absent or null, but is nothing else.
    func optionalBool(_ name: String) throws(WireError) -> Bool? {
        guard let value = self[name], !value.isNull else { return nil }
        guard let bool = value.bool else {
            throw .wrongType(name, expected: "true or false", offset: value.range.lowerBound)
        }
        return bool
    }

    /// An integer that may be absent or null, but is nothing else.
    func optionalInteger(_ name: String) throws(WireError) -> Int? {
        guard let value = self[name], !value.isNull else { return nil }
        guard let integer = value.integer else {
            throw .wrongType(name, expected: "an integer", offset: value.range.lowerBound)
        }
        return integer
    }

    /// A required string of limited length.
    func requiredString(_ name: String, in place: String, limit: Int) throws(WireError) -> String {
        try Self.checked(try requiredString(name, in: place), name, limit)
    }

    /// A string of limited length that may be absent.
    func optionalString(_ name: String, limit: Int) throws(WireError) -> String? {
        guard let string = try optionalString(name) else { return nil }
        return try Self.checked(string, name, limit)
    }

    private static func checked(_ string: String, _ name: String, _ limit: Int) throws(WireError) -> String {
        guard string.utf8.count <= limit else {
            throw WireError(.tooLarge, "\"\(name)\" has \(string.utf8.count) bytes; at most \(limit) are taken")
        }
        return string
    }
}
