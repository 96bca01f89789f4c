public import PatchbayConfig
public import PatchbayCore

/// A stage that also hears both sides of the call at the carrier's edge.
///
/// Its processor stands in the chain like any other; its tap is told what really went in and out, with positions in time.
/// Whoever puts a call together asks every such stage for a tap, wherever in the chain it stands.
public protocol TapComponent: StageComponent {
    /// Makes what makes the tap of one call, from settings in which `${…}` has been substituted. Does no I/O.
    ///
    /// - Throws: When the settings make no sense for this call.
    func makeTap(_ settings: Settings) throws(PipelineError) -> MediaTapMaker
}
