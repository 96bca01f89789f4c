// swift-tools-version: 6.2
import PackageDescription

// The readers of documents, with the coverage that libFuzzer needs. A package of its own, because every target of it is
// instrumented; its sources are those of the project, by links.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "patchbay-fuzz",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", .upToNextMinor(from: "2.101.2")),
        .package(url: "https://github.com/apple/swift-log.git", .upToNextMinor(from: "1.16.2")),
        .package(url: "https://github.com/apple/swift-metrics.git", .upToNextMinor(from: "2.13.0")),
        .package(url: "https://github.com/apple/swift-collections.git", .upToNextMinor(from: "1.6.0")),
    ],
    targets: [
        .systemLibrary(name: "CSampleRate", pkgConfig: "samplerate"),
        .systemLibrary(name: "COpus", pkgConfig: "opus"),
        .systemLibrary(name: "COgg", pkgConfig: "ogg"),
        .target(name: "CPatchbayKernels"),
        .target(
            name: "PatchbayAudio", dependencies: ["CSampleRate", "COpus", "COgg", "CPatchbayKernels"],
            exclude: ["Resampling/design.py", "Resampling/plot.py"], swiftSettings: strict),
        .target(
            name: "PatchbayCore",
            dependencies: [
                "PatchbayAudio", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"), .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
            ], swiftSettings: strict),
        .target(name: "PatchbayConfig", dependencies: ["PatchbayCore"], swiftSettings: strict),
        // What needs a library of cryptography reads nothing here.
        .target(
            name: "PatchbayWire", dependencies: [.product(name: "NIOCore", package: "swift-nio")],
            exclude: ["Twilio/TwilioSignature.swift"], swiftSettings: strict),
        // The readers of tests and of wire logs, without what makes the calls.
        .target(
            name: "PatchbayScenarios", dependencies: ["PatchbayConfig", "PatchbayWire"],
            exclude: ["Check", "Report", "Record/RecordedExpectations.swift", "Record/ScenarioRecorder+Write.swift"],
            sources: ["Format", "Record", "Run/SoundTrack.swift"], swiftSettings: strict),
        .executableTarget(
            name: "PatchbayFuzz", dependencies: ["PatchbayConfig", "PatchbayScenarios"],
            // libFuzzer brings main.
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]),
    ])
