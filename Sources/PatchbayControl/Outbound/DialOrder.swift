import Foundation
import HTTPTypes
import PatchbayConfig
import PatchbayCore

/// Somebody's wish that a number be called, as it was sent.
struct DialOrder: Sendable {
    /// Values for the variables of a document that one order may set, and the longest of them in characters.
    static let maximumVariables = 64
    static let maximumValue = 2000
    /// Longest text that is kept beside an order: a customer's name in another system, a kind of agent.
    static let maximumText = 200
    /// Longest name that an order may be given to be repeated with.
    static let maximumKey = 255

    var to: String
    var from: String?
    var pipeline: String?
    var variables: [String: VariableValue] = [:]
    var agentType: String?
    var customerID: String?
    var tenant: String?
    var detectsMachines: Bool?
    var ringSeconds: Int?
    /// Names the order, so that it may be sent again.
    var idempotencyKey: String?

    init(to: String) { self.to = to }

    /// Reads `{"to", "from"?, "pipeline"?, "variables"?, "agentType"?, "customerId"?, "tenant"?, "machineDetection"?,
    /// "timeoutSeconds"?}`.
    init(json body: [UInt8]) throws(DialRefusal) {
        let read: Body = try Self.decoded(body, example: #"{"to": "+15550100002"}"#)
        to = read.to
        (from, pipeline, agentType, tenant) = (read.from, read.pipeline, read.agentType, read.tenant)
        customerID = read.customerId?.value.description
        variables = (read.variables ?? [:]).mapValues(\.value)
        (detectsMachines, ringSeconds) = (read.machineDetection, read.timeoutSeconds)
        try check()
    }

    /// Reads the form of campaigns, `{"customer_id", "phone", "agent_type"}`. Other keys are left alone: their systems send
    /// more than is needed here.
    init(campaign body: [UInt8]) throws(DialRefusal) {
        let read: CampaignBody = try Self.decoded(
            body, example: #"{"customer_id": "c-1", "phone": "+15550100002", "agent_type": "reminder"}"#)
        to = read.phone
        customerID = read.customerId?.value.description
        agentType = read.agentType
        try check()
    }

    private func check() throws(DialRefusal) {
        guard variables.count <= Self.maximumVariables else {
            throw DialRefusal(.unprocessableContent, "\(variables.count) variables; at most \(Self.maximumVariables)")
        }
        for (name, value) in variables {
            guard name.count <= 64, value.description.count <= Self.maximumValue else {
                throw DialRefusal(
                    .unprocessableContent,
                    "the variable \"\(name.prefix(64))\" is too long: names have at most 64 characters, values \(Self.maximumValue)"
                )
            }
        }
        for (name, text) in [("agentType", agentType), ("customerId", customerID), ("tenant", tenant)] {
            guard text.map({ $0.count <= Self.maximumText }) ?? true else {
                throw DialRefusal(.unprocessableContent, "\(name) has more than \(Self.maximumText) characters")
            }
        }
        if let ringSeconds, !(5...600).contains(ringSeconds) {
            throw DialRefusal(.unprocessableContent, "timeoutSeconds is \(ringSeconds); allowed are 5 to 600")
        }
    }

    private static func decoded<T: Decodable>(_ body: [UInt8], example: String) throws(DialRefusal) -> T {
        do {
            return try JSONDecoder().decode(T.self, from: Data(body))
        } catch let error as UnknownKey {
            throw DialRefusal(.unprocessableContent, error.description)
        } catch let error as DecodingError {
            throw DialRefusal(.badRequest, "\(Self.words(error)); send for instance \(example)")
        } catch {
            throw DialRefusal(.badRequest, "the order cannot be read; send for instance \(example)")
        }
    }

    private static func words(_ error: DecodingError) -> String {
        func name(_ path: [any CodingKey]) -> String { path.map(\.stringValue).joined(separator: ".") }
        switch error {
        case .keyNotFound(let key, let context):
            return "the order needs \"\(name(context.codingPath + [key]))\""
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return context.codingPath.isEmpty
                ? "the order is no JSON object" : "\"\(name(context.codingPath))\" has the wrong type"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty
                ? "the order is no JSON" : "\"\(name(context.codingPath))\": \(context.debugDescription)"
        @unknown default: return "the order cannot be read"
        }
    }

    // MARK: As it is written

    private struct UnknownKey: Error, CustomStringConvertible {
        var description: String
    }

    private struct AnyKey: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private struct Body: Decodable {
        var to: String
        var from, pipeline, agentType, tenant: String?
        var customerId: Scalar?
        var variables: [String: Scalar]?
        var machineDetection: Bool?
        var timeoutSeconds: Int?

        enum CodingKeys: String, CodingKey, CaseIterable {
            case to, from, pipeline, agentType, tenant, customerId, variables, machineDetection, timeoutSeconds
        }

        init(from decoder: any Decoder) throws {
            // A misspelt key would dial with something else than was meant.
            let known = Set(CodingKeys.allCases.map(\.rawValue))
            let given = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
            if let stranger = given.filter({ !known.contains($0) }).min() {
                let allowed = CodingKeys.allCases.map(\.rawValue).joined(separator: ", ")
                throw UnknownKey(description: "an order has no \"\(stranger.prefix(64))\"; allowed are \(allowed)")
            }
            let values = try decoder.container(keyedBy: CodingKeys.self)
            to = try values.decode(String.self, forKey: .to)
            from = try values.decodeIfPresent(String.self, forKey: .from)
            pipeline = try values.decodeIfPresent(String.self, forKey: .pipeline)
            agentType = try values.decodeIfPresent(String.self, forKey: .agentType)
            tenant = try values.decodeIfPresent(String.self, forKey: .tenant)
            customerId = try values.decodeIfPresent(Scalar.self, forKey: .customerId)
            variables = try values.decodeIfPresent([String: Scalar].self, forKey: .variables)
            machineDetection = try values.decodeIfPresent(Bool.self, forKey: .machineDetection)
            timeoutSeconds = try values.decodeIfPresent(Int.self, forKey: .timeoutSeconds)
        }
    }

    private struct CampaignBody: Decodable {
        var phone: String
        var customerId: Scalar?
        var agentType: String?

        enum CodingKeys: String, CodingKey {
            case phone
            case customerId = "customer_id"
            case agentType = "agent_type"
        }
    }
}

/// A text, number or boolean of JSON, with its type.
struct Scalar: Codable, Sendable {
    var value: VariableValue

    init(_ value: VariableValue) { self.value = value }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let bool = try? container.decode(Bool.self) {
            value = .bool(bool)
        } else if let number = try? container.decode(Double.self) {
            value = .number(number)
        } else if let text = try? container.decode(String.self) {
            value = .string(text)
        } else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "it must be a text, a number or a boolean")
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch value {
        case .string(let text): try container.encode(text)
        case .number(let number):
            if let whole = Int(exactly: number) { try container.encode(whole) } else { try container.encode(number) }
        case .bool(let bool): try container.encode(bool)
        }
    }
}

extension [String: VariableValue] {
    /// As one line of JSON, in the order of the names.
    var json: String {
        "{"
            + sorted { $0.key < $1.key }.map { "\(VariableValue.string($0.key).json):\($0.value.json)" }
            .joined(separator: ",") + "}"
    }

    /// Empty for anything but a JSON object of texts, numbers and booleans.
    init(json text: String) {
        let read = try? JSONDecoder().decode([String: Scalar].self, from: Data(text.utf8))
        self = (read ?? [:]).mapValues(\.value)
    }
}

/// Why nobody is called, for whoever ordered it.
struct DialRefusal: Error, Equatable {
    var status: HTTPResponse.Status
    /// What is wrong, what is allowed, what to do.
    var words: String
    /// In seconds.
    var retryAfter: Int?

    init(_ status: HTTPResponse.Status, _ words: String, retryAfter: Int? = nil) {
        self.status = status
        self.words = words
        self.retryAfter = retryAfter
    }
}
