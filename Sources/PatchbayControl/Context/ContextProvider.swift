public import PatchbayConfig

/// Finds out about callers in a service that embeds Patchbay, in place of the `context` of its pipelines.
///
/// It is asked while the caller hears ringing, on no event loop, and has the time that the pipeline's `context` gives, else
/// ``limit``. What it throws, or an answer that is late, is as if it knew nothing.
///
/// - Returns: What `${context.NAME}` stands for; `nil` leaves the call to the pipeline's own `context`.
public typealias ContextProvider = @Sendable (ContextRequest) async throws -> [String: VariableValue]?

/// Whose call it is that something has to be found out about.
public struct ContextRequest: Sendable {
    /// Milliseconds for an answer where the pipeline does not say.
    public static let limit: Int64 = 800

    /// Who calls whom.
    public var call: CallVariables
    /// The pipeline that is going to answer.
    public var pipeline: String
    /// Whose call it is, where there are tenants.
    public var tenant: String?
}
