/// What a call brings along for the `${…}` of its document.
public struct CallVariables: Sendable {
    /// The caller's number, `${call.from}`.
    public var from: String
    /// The called number, `${call.to}`.
    public var to: String
    /// The carrier's name of the call, `${call.sid}`.
    public var sid: String
    /// What was looked up about the caller, `${context.NAME}`.
    public var context: [String: VariableValue]

    public init(from: String = "", to: String = "", sid: String = "", context: [String: VariableValue] = [:]) {
        self.from = from
        self.to = to
        self.sid = sid
        self.context = context
    }
}
