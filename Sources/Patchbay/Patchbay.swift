// One import for services that embed Patchbay.
@_exported public import PatchbayAudio
@_exported public import PatchbayConfig
@_exported public import PatchbayControl
@_exported public import PatchbayCore
@_exported public import PatchbayProcessors
@_exported public import PatchbayStore
@_exported public import PatchbayTransports
