import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayStore

/// The numbers that are answered: those of tenants, those that were put in, those of pipelines.
struct NumberRoutes: EntryRoutes {
    static let kind = TenantDirectory.Kind.number
    static let path = ServerSettings.PathKey.numbers
    let switchboard: Switchboard

    func list(_ request: Request, for principal: Principal) throws -> Response {
        try json(NumbersReport(switchboard, principal, try request.page()))
    }

    func show(_ number: String, for principal: Principal, _ status: HTTPResponse.Status) throws -> Response? {
        guard let report = NumberReport(number, switchboard), principal.sees(report.tenant) else { return nil }
        return try json(report, status)
    }

    func fault(inName number: String) -> String? {
        if case .exact? = NumberPattern(number) { return nil }
        return "\"\(number.prefix(40))\" is no number: \"+\" and 2 to 15 digits (E.164)"
    }

    func read(_ source: SourceText, _ number: String, _ condition: EntryCondition) -> EntryDraft {
        let (set, snapshot) = (switchboard.pipelineSet, directory.snapshot)
        let (entry, findings) = NumberEntry.read(
            source, number: number, pipelines: Set(set.documents.map(\.name)),
            isTenant: { snapshot.tenant($0, in: set) != nil })
        var draft = EntryDraft(findings: findings, tenant: entry?.tenant)
        if let entry {
            draft.check = { (snapshot) throws(StoreError) in
                // Who has read whose it is may move it.
                if !condition.isOfReader { try snapshot.check(entry, in: set) }
            }
        }
        return draft
    }

    func stored(_ number: String) -> (version: Int, tenant: String?)? {
        directory.snapshot.numbers[number].map { ($0.version, $0.value.tenant) }
    }

    func standing(_ number: String) -> String? {
        NumberReport(number, switchboard).map { _ in
            "\(number) has no entry of its own; it stands with its tenant or pipeline"
        }
    }

    func absence(_ number: String) -> String { "nobody answers \"\(number.prefix(40))\"" }
}

extension Request {
    /// The part of a list that is asked for: everything, or `?offset=…&limit=…`.
    func page() throws -> Range<Int> {
        func number(_ name: Substring) throws -> Int? {
            guard let text = uri.queryParameters[name] else { return nil }
            guard let number = Int(text), (0...10_000_000).contains(number) else {
                throw HTTPError(.badRequest, message: "\(name) is \"\(text)\"; allowed are 0 to 10000000")
            }
            return number
        }
        let offset = try number("offset") ?? 0
        return offset..<(offset + (try number("limit") ?? 10_000_000))
    }
}

/// One number as `/numbers` shows it.
private struct NumberReport: Encodable {
    var number: String
    var pipeline: String
    /// The file of the pipeline.
    var file: String
    var tenant: String?
    var sid: String?
    /// Who says whose it is: `store`, a file of tenants, or that of the pipeline.
    var origin: String
    /// Those in effect; secrets withheld.
    var variables: [String: ShownValue]

    /// A number that belongs to a pipeline.
    init(_ number: PipelineDocument.Number, of document: PipelineDocument) {
        self.number = number.pattern.description
        (pipeline, file, origin) = (document.name, document.file, document.file)
        variables = document.shownVariables(of: number).mapValues { ShownValue(value: $0) }
    }

    /// What is in effect for one number; `nil` when nobody answers it.
    init?(_ number: String, _ switchboard: Switchboard) {
        let set = switchboard.pipelineSet
        let snapshot = switchboard.tenants.snapshot
        let assignment = switchboard.tenants.assignment(ofNumber: number, in: set)
        let route = set.route(number, assigned: assignment)
        guard assignment != nil || route != nil else { return nil }
        self.number = number
        pipeline = route?.document.name ?? assignment?.pipeline ?? ""
        file = route?.document.file ?? ""
        tenant = assignment?.tenant
        let isStored = snapshot.numbers[number] != nil || snapshot.owners[number] != nil
        origin =
            isStored
            ? "store" : set.tenants.tenant(ofNumber: number).flatMap { set.tenants.file(of: $0.id) } ?? file
        let owner = tenant.flatMap { snapshot.tenant($0, in: set) }
        sid = snapshot.numbers[number]?.value.sid ?? owner?.numbers.first { $0.number == number }?.sid
        variables = (route?.shownVariables ?? [:]).mapValues { ShownValue(value: $0) }
    }
}

/// What `/numbers` shows: first the numbers that belong to somebody, then those of pipelines.
private struct NumbersReport: Encodable {
    /// All numbers, also those that are not in the part that was asked for.
    var count: Int
    var numbers: [NumberReport] = []

    init(_ switchboard: Switchboard, _ principal: Principal, _ page: Range<Int>) {
        let set = switchboard.pipelineSet
        let assigned = switchboard.tenants.assignedNumbers(in: set)
        let seen =
            principal.tenant == nil
            ? assigned
            : assigned.filter { principal.sees(switchboard.tenants.assignment(ofNumber: $0, in: set)?.tenant) }
        for number in seen[page.clamped(to: 0..<seen.count)] {
            if let report = NumberReport(number, switchboard) { numbers.append(report) }
        }
        count = seen.count
        // What pipelines answer without a tenant is none of a tenant's business.
        guard principal.tenant == nil else { return }
        let taken = Set(assigned)
        for document in set.documents {
            for number in document.numbers where !taken.contains(number.pattern.description) {
                if page.contains(count) { numbers.append(NumberReport(number, of: document)) }
                count += 1
            }
        }
    }
}
