import Foundation
import HTTPTypes
import Hummingbird
import Logging
import PatchbayConfig
import PatchbayCore
import Synchronization
import Testing

@testable import PatchbayControl

/// Every route is described, and nothing that is not there.
@Suite struct OpenAPITests {
    /// Notes what is added to it.
    private final class Notes: RouterMethods {
        typealias Context = ControlContext
        let routes = Mutex<[String]>([])

        func on<Responder: HTTPResponder>(
            _ path: RouterPath, method: HTTPRequest.Method, responder: Responder
        ) -> Self where Responder.Context == ControlContext {
            let parts = path.description.split(separator: "/").map { $0.first == ":" ? "{\($0.dropFirst())}" : "\($0)" }
            routes.withLock { $0.append("\(method.rawValue) /\(parts.joined(separator: "/"))") }
            return self
        }

        func add(middleware: any MiddlewareProtocol<Request, Response, ControlContext>) -> Self { self }
    }

    private static func described(_ document: JSONValue) -> [String] {
        guard case .object(let paths)? = document["paths"] else { return [] }
        return paths.flatMap { path -> [String] in
            guard case .object(let operations) = path.value else { return [] }
            return operations.map { "\($0.key.uppercased()) \(path.key)" }
        }
    }

    @Test func theRoutesAreTheDescribedOnes() async throws {
        var settings = ServerSettings()
        settings.paths[.voice] = ["/api/voice", "/old"]
        settings.paths[.calls] = ["/twilio/calls", "/calls"]
        let server = try Switchboard(
            PipelineSet(documents: []), settings: settings,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let notes = Notes()
        server.addRoutes(to: notes)
        let document = OpenAPIDocument(settings: settings).value
        #expect(Self.described(document).sorted() == notes.routes.withLock { $0.sorted() })
        #expect(Set(Self.described(document)).count == Self.described(document).count)
    }

    @Test func everyReferenceLeadsToAShape() {
        let text = OpenAPIDocument(settings: ServerSettings()).value.line
        let names = Set(OpenAPISchemas.all.map(\.key))
        var used: Set<String> = []
        for part in text.components(separatedBy: "#/components/schemas/").dropFirst() {
            used.insert(String(part.prefix { $0 != "\"" }))
        }
        #expect(used == names)
    }
}
