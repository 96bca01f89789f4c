import Patchbay
import Testing
