import Foundation
import PatchbayCore

/// The client tool by which an agent hands the caller to a person.
///
/// The vendor's own tool of this name works on the vendor's numbers only, and tells a client nothing of the number
/// (elevenlabs.io/docs/agents-platform/customization/tools/system-tools/transfer-to-human). A client tool with the same
/// name and parameter does the same on our line.
enum ElevenLabsTransfer {
    static let tool = "transfer_to_number"

    /// - Parameter parameters: JSON text of an object with `transfer_number`.
    /// - Returns: `nil` for anything that is no number in international form.
    static func number(in parameters: String) -> PhoneNumber? {
        struct Parameters: Decodable {
            var number: String
            enum CodingKeys: String, CodingKey { case number = "transfer_number" }
        }
        let decoded = try? JSONDecoder().decode(Parameters.self, from: Data(parameters.utf8))
        return decoded.flatMap { PhoneNumber($0.number) }
    }
}
