import Hotel
import PatchbayCLI

/// `hotel-patchbay`: the `patchbay` command, which knows the hotel's components.
@main
enum Tool {
    static func main() async { await PatchbayTool.main(adding: Hotel.components) }
}
