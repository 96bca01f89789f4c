import PatchbayConfig
import PatchbayCore
import PatchbayStore

/// A call that is to be taken: what is known of it before a pipeline has been chosen.
struct CallOrder: Sendable {
    var callSid: String
    var from: String
    var to: String
    var direction = CallInfo.Direction.inbound
    /// Whether the call goes on after its stream broke: with the pipeline it had, while its version is kept, and without
    /// asking rules again.
    var isResumed = false
    /// The call in another process, which answered its webhook or had its stream before: its pipeline goes on.
    var former: StoredCall?
    /// The pipeline that whoever dialled has named; a called number finds its own.
    var pipeline: String?
    /// The pipeline of the path that the webhook came to, which goes before the number's.
    var pathPipeline: String?
    /// What whoever dialled has set; these go before a number's variables.
    var variables: [String: VariableValue] = [:]
    /// Whose call it is, where that is not found by the number.
    var tenant: String?
    /// The voice session that had the call dialled.
    var session: String?
    /// The nonce of the stream token, under which another process may have left what it looked up.
    var contextKey: String?

    init(callSid: String, from: String, to: String) {
        self.callSid = callSid
        self.from = from
        self.to = to
    }
}
