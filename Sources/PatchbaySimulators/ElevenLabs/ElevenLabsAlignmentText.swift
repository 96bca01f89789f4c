import Foundation

/// When each character of an audio message is spoken, as the vendor writes it.
enum ElevenLabsAlignmentText {
    private struct Body: Encodable {
        var chars: [String]
        var starts, durations: [Int]

        enum CodingKeys: String, CodingKey {
            case chars
            case starts = "char_start_times_ms"
            case durations = "char_durations_ms"
        }
    }

    static func json(_ characters: [String], begins: [Int], durations: [Int]) -> String? {
        let body = Body(chars: characters, starts: begins, durations: durations)
        return (try? JSONEncoder().encode(body)).map { String(decoding: $0, as: UTF8.self) }
    }
}
