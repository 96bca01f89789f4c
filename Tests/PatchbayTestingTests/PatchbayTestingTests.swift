import PatchbayTesting
import Testing
