public import Foundation

extension BenchReport {
    /// As `--compare` reads it, with four digits behind the point: more would only be noise in version control.
    public var json: String {
        get throws {
            var report = self
            report.rows = rows.map(\.rounded)
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(report), as: UTF8.self)
        }
    }

    /// Reads what ``json`` wrote, or a script of the same shape.
    ///
    /// - Throws: ``StoredReportError`` when the file cannot be read or is something else.
    public init(contentsOf file: String) throws(StoredReportError) {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: file))
        } catch {
            throw StoredReportError("cannot read \(file): \(error.localizedDescription)")
        }
        try self.init(data, from: file)
    }

    /// - Parameter source: Where the bytes come from, for the message.
    public init(_ data: Data, from source: String) throws(StoredReportError) {
        struct Version: Decodable { var version: Int }
        let decoder = JSONDecoder()
        // Other versions may have other keys.
        if let version = try? decoder.decode(Version.self, from: data).version, version != Self.currentVersion {
            let age = version < Self.currentVersion ? "an older" : "a newer"
            throw StoredReportError(
                "\(source) was written by \(age) patchbay: version \(version) of the table, and \(Self.currentVersion) is "
                    + "read; store it anew with `patchbay bench --format json > FILE`")
        }
        do {
            self = try decoder.decode(BenchReport.self, from: data)
        } catch {
            throw StoredReportError(
                "\(source) is no table of `patchbay bench`; store one with `patchbay bench --format json > FILE`")
        }
    }
}

/// Why an earlier run cannot be shown.
public struct StoredReportError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Which file, what is wrong with it, and how to make a right one.
    public let message: String

    init(_ message: String) { self.message = message }

    public var description: String { message }
}

extension BenchRow {
    fileprivate var rounded: BenchRow {
        let short = { (value: Double?) in value.map { ($0 * 10_000).rounded() / 10_000 } }
        var row = self
        row.cost = cost.map { cost in
            Cost(
                p50: short(cost.p50) ?? 0, p99: short(cost.p99) ?? 0, cpu: short(cost.cpu) ?? 0,
                allocations: short(cost.allocations))
        }
        row.delayReported = short(delayReported)
        row.delayMeasured = short(delayMeasured)
        row.signalToNoise = short(signalToNoise)
        row.rejection = short(rejection)
        row.ripple = short(ripple)
        row.gain3400 = short(gain3400)
        return row
    }
}
