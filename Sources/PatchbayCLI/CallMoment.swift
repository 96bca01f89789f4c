import ArgumentParser
import Foundation

/// A time that somebody wrote on a command line.
struct CallMoment {
    let date: Date

    private static let forms = ["yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd HH:mm", "yyyy-MM-dd"]
    private static let zonedForms = ["yyyy-MM-dd'T'HH:mmXXXXX", "yyyy-MM-dd'T'HH:mm:ssXXXXX"]

    /// - Parameter text: ISO 8601, to the minute or the second; without a zone that of this machine. `nil` is now.
    init(_ text: String?) throws {
        guard let text else {
            date = Date()
            return
        }
        let reader = DateFormatter()
        // Fixed forms need a fixed calendar and language, whatever the machine is set to.
        reader.locale = Locale(identifier: "en_US_POSIX")
        reader.calendar = Calendar(identifier: .gregorian)
        reader.timeZone = .current
        reader.isLenient = false
        for form in Self.forms + Self.zonedForms {
            reader.dateFormat = form
            if let date = reader.date(from: text) {
                self.date = date
                return
            }
        }
        throw ValidationError(
            "--at is \"\(text)\"; write a day and a time, such as 2026-12-24T18:00 or 2026-12-24T18:00+01:00")
    }
}
