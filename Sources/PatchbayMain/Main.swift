import PatchbayCLI

@main
enum Main {
    static func main() async { await PatchbayTool.main() }
}
