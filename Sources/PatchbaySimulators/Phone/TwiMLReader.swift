import Foundation
import FoundationXML

/// What a server answered to a webhook, as far as a simulated phone obeys it.
public enum TwiMLStep: Sendable, Equatable {
    case say(String)
    case pause(seconds: Int)
    case hangup
    case reject
    case redirect(String)
    case connect(url: String, action: String?, parameters: [String: String])
    /// The number, or what else stands there.
    case dial(String, callerId: String?, action: String?)
    /// A verb that the phone does not play.
    case other(String)
}

/// Reads TwiML.
final class TwiMLReader: NSObject, XMLParserDelegate {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private var steps: [TwiMLStep] = []
    private var path: [String] = []
    private var text = ""
    private var action: String?
    private var attributes: [String: String] = [:]
    private var streamURL: String?
    private var parameters: [String: String] = [:]

    static func read(_ document: Data) throws -> [TwiMLStep] {
        let reader = TwiMLReader()
        let parser = XMLParser(data: document)
        parser.delegate = reader
        guard parser.parse() else {
            throw Failure(description: "the answer is no XML: \(parser.parserError.map { "\($0)" } ?? "unknown error")")
        }
        return reader.steps
    }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        path.append(name)
        if path.count == 2 { text = "" }
        switch path {
        case ["Response", "Connect"]: action = attributes["action"]
        case ["Response", "Connect", "Stream"]:
            streamURL = attributes["url"]
            parameters = [:]
        case ["Response", "Connect", "Stream", "Parameter"]:
            if let name = attributes["name"] { parameters[name] = attributes["value"] ?? "" }
        case ["Response", name]: self.attributes = attributes
        // Whom a <Dial> calls may stand in an element of its own.
        case ["Response", "Dial", name]: text = ""
        default: break
        }
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }

    func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
        switch path {
        case ["Response", "Say"]: steps.append(.say(text))
        case ["Response", "Pause"]: steps.append(.pause(seconds: attributes["length"].flatMap(Int.init) ?? 1))
        case ["Response", "Hangup"]: steps.append(.hangup)
        case ["Response", "Reject"]: steps.append(.reject)
        case ["Response", "Redirect"]: steps.append(.redirect(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        case ["Response", "Dial"]:
            steps.append(
                .dial(
                    text.trimmingCharacters(in: .whitespacesAndNewlines), callerId: attributes["callerId"],
                    action: attributes["action"]))
        case ["Response", "Connect"]:
            steps.append(
                streamURL.map { .connect(url: $0, action: action, parameters: parameters) } ?? .other("Connect"))
            streamURL = nil
        default: if path.count == 2 { steps.append(.other(name)) }
        }
        path.removeLast()
    }
}
