import Foundation
import Testing

/// What the documentation shows is code that is compiled and tested, to the letter.
@Suite struct DocumentationTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let documentation = root.appending(path: "Sources/Patchbay/Patchbay.docc")

    private static func text(_ file: URL) throws -> String { try String(contentsOf: file, encoding: .utf8) }

    private static func files(_ folder: String, _ ending: String) -> [URL] {
        let found = FileManager.default.enumerator(at: root.appending(path: folder), includingPropertiesForKeys: nil)
        return (found?.compactMap { $0 as? URL } ?? []).filter {
            $0.pathExtension == ending && !$0.path.contains("/.build/")
        }
    }

    @Test(arguments: ["Embedding", "Frames", "Joints", "Tools", "Tutorial"])
    func everyBlockOfSwiftIsPartOfAFileThatIsTested(page: String) throws {
        let sources = try (Self.files("Tests/PatchbayTests", "swift") + Self.files("Examples", "swift")).map(Self.text)
        let parts = try Self.text(Self.documentation.appending(path: "\(page).md")).components(
            separatedBy: "```swift\n")
        #expect(parts.count > 1)
        for part in parts.dropFirst() {
            let block = part.components(separatedBy: "```")[0]
            #expect(sources.contains { $0.contains(block) }, "\(page): no tested file holds\n\(block)")
        }
    }

    @Test func theFirstPageLeadsToEveryOther() throws {
        let landing = try Self.text(Self.documentation.appending(path: "Patchbay.md"))
        for page in Self.files("Sources/Patchbay/Patchbay.docc", "md") {
            let name = page.deletingPathExtension().lastPathComponent
            #expect(name == "Patchbay" || landing.contains("- <doc:\(name)>"), "no link to \(name)")
        }
    }

    @Test func everyLinkLeadsToAPage() throws {
        let pages = Self.files("Sources/Patchbay/Patchbay.docc", "md")
        let names = Set(pages.map { $0.deletingPathExtension().lastPathComponent })
        for page in pages {
            for link in try Self.text(page).components(separatedBy: "<doc:").dropFirst() {
                #expect(
                    names.contains(String(link.prefix { $0 != ">" })), "\(page.lastPathComponent): \(link.prefix(40))")
            }
        }
    }
}
