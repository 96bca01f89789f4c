import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayStore

/// The numbers that are answered: those of tenants, those that were put in, those of pipelines.
struct NumberRoutes: Sendable {
    let switchboard: Switchboard
    private var directory: TenantDirectory { switchboard.tenants }
    private var access: Access { switchboard.access }

    func add(to router: some RouterMethods<ControlContext>) {
        for path in switchboard.settings.paths(.numbers) {
            router.get(RouterPath(path)) { request, context in
                let principal = try access.admit(request, context, .numbers)
                await directory.loadOnce()
                return try json(NumbersReport(switchboard, principal, try request.page()))
            }
            router.get(RouterPath("\(path)/:number")) { request, context in
                let principal = try access.admit(request, context, .numbers)
                await directory.loadOnce()
                return try one(context.segment("number"), principal)
            }
            router.put(RouterPath("\(path)/:number")) { request, context in
                let principal = try access.admitToWhole(request, context)
                return try await put(request, context, principal)
            }
            router.delete(RouterPath("\(path)/:number")) { request, context in
                let principal = try access.admitToWhole(request, context)
                return try await delete(request, context, principal)
            }
        }
    }

    private func one(_ number: String, _ principal: Principal, status: HTTPResponse.Status = .ok) throws -> Response {
        guard let report = NumberReport(number, switchboard), principal.sees(report.tenant) else {
            throw Self.unknown(number)
        }
        var response = try json(report, status)
        response.headers[.eTag] = EntryCondition.tag(directory.snapshot.numbers[number]?.version ?? 0)
        return response
    }

    private func put(_ request: Request, _ context: ControlContext, _ principal: Principal) async throws -> Response {
        let number = context.segment("number")
        guard case .exact? = NumberPattern(number) else {
            throw HTTPError(
                .unprocessableContent,
                message: "\"\(number.prefix(40))\" is no number: \"+\" and 2 to 15 digits (E.164)")
        }
        let condition = try EntryCondition(request)
        let body = try await request.body.collect(upTo: switchboard.settings.limits.maximumBodyBytes)
        await directory.loadOnce()
        let (set, snapshot) = (switchboard.pipelineSet, directory.snapshot)
        let (entry, findings) = NumberEntry.read(
            SourceText(file: "number \(number)", bytes: Array(body.readableBytesView)), number: number,
            pipelines: Set(set.documents.map(\.name)), isTenant: { directory.tenant($0, in: set, snapshot) != nil })
        guard let entry else {
            switchboard.note(
                "number.put", number, principal, request, context, outcome: findings.first?.message ?? "refused")
            return try json(UnusableDocument("the number's entry cannot be used", findings), .unprocessableContent)
        }
        do {
            let version = try await directory.put(
                .number, number, String(buffer: body), version: condition.version, by: principal)
            switchboard.note(
                "number.put", "\(number) version \(version)", principal, request, context, tenant: entry.tenant)
        } catch {
            switchboard.note("number.put", number, principal, request, context, outcome: error.message)
            throw HTTPError(error)
        }
        return try one(number, principal, status: snapshot.numbers[number] == nil ? .created : .ok)
    }

    private func delete(_ request: Request, _ context: ControlContext, _ principal: Principal) async throws -> Response
    {
        let number = context.segment("number")
        let condition = try EntryCondition(request)
        await directory.loadOnce()
        guard let stored = directory.snapshot.numbers[number] else {
            if NumberReport(number, switchboard) != nil {
                throw HTTPError(
                    .conflict, message: "\(number) has no entry of its own; it stands with its tenant or pipeline")
            }
            throw Self.unknown(number)
        }
        try condition.check(stored.version)
        do {
            guard try await directory.remove(.number, number, by: principal) else { throw Self.unknown(number) }
        } catch let error as StoreError {
            throw HTTPError(error)
        }
        switchboard.note("number.delete", number, principal, request, context, tenant: stored.value.tenant)
        return Response(status: .noContent)
    }

    private static func unknown(_ number: String) -> HTTPError {
        HTTPError(.notFound, message: "nobody answers \"\(number.prefix(40))\"")
    }
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
        let owner = tenant.flatMap { switchboard.tenants.tenant($0, in: set, snapshot) }
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
