// swift-tools-version: 6.2
import PackageDescription

/// Every target of ours is compiled with the same strictness; warnings are errors.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

func nio(_ product: String) -> Target.Dependency { .product(name: product, package: "swift-nio") }
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let tls: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "patchbay",
    products: [
        .library(name: "Patchbay", targets: ["Patchbay"]),
        .library(name: "PatchbayTesting", targets: ["PatchbayTesting"]),
        .library(name: "PatchbayCLI", targets: ["PatchbayCLI"]),
        .executable(name: "patchbay", targets: ["PatchbayMain"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", .upToNextMinor(from: "2.101.2")),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", .upToNextMinor(from: "2.37.6")),
        .package(url: "https://github.com/apple/swift-nio-extras.git", .upToNextMinor(from: "1.35.2")),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", .upToNextMinor(from: "2.28.1")),
        .package(url: "https://github.com/swift-server/async-http-client.git", .upToNextMinor(from: "1.37.0")),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", .upToNextMinor(from: "2.13.0")),
        .package(url: "https://github.com/apple/swift-configuration.git", .upToNextMinor(from: "1.4.0")),
        .package(url: "https://github.com/apple/swift-crypto.git", .upToNextMinor(from: "4.5.2")),
        .package(url: "https://github.com/apple/swift-log.git", .upToNextMinor(from: "1.16.2")),
        .package(url: "https://github.com/apple/swift-metrics.git", .upToNextMinor(from: "2.13.0")),
        .package(url: "https://github.com/apple/swift-collections.git", .upToNextMinor(from: "1.6.0")),
        .package(url: "https://github.com/apple/swift-argument-parser.git", .upToNextMinor(from: "1.8.2")),
        .package(url: "https://github.com/apple/swift-distributed-tracing.git", .upToNextMinor(from: "1.7.3")),
        .package(url: "https://github.com/groue/GRDB.swift.git", .upToNextMinor(from: "7.10.0")),
    ],
    targets: [
        .systemLibrary(name: "CSampleRate", pkgConfig: "samplerate", providers: [.apt(["libsamplerate0-dev"])]),
        .systemLibrary(name: "COpus", pkgConfig: "opus", providers: [.apt(["libopus-dev"])]),
        .systemLibrary(name: "COgg", pkgConfig: "ogg", providers: [.apt(["libogg-dev"])]),
        .target(name: "CPatchbayKernels"),
        .target(
            name: "PatchbayAudio", dependencies: ["CSampleRate", "COpus", "COgg", "CPatchbayKernels"],
            exclude: ["Resampling/design.py", "Resampling/plot.py"],
            swiftSettings: strict),
        .target(
            name: "PatchbayCore",
            dependencies: [
                "PatchbayAudio", nio("NIOCore"), logging, metrics,
                .product(name: "DequeModule", package: "swift-collections"),
            ], swiftSettings: strict),
        .target(name: "PatchbayWire", dependencies: [nio("NIOCore"), crypto], swiftSettings: strict),
        .target(name: "PatchbayConfig", dependencies: ["PatchbayCore"], swiftSettings: strict),
        .target(name: "PatchbayProcessors", dependencies: ["PatchbayConfig"], swiftSettings: strict),
        .target(
            name: "PatchbayTransports",
            dependencies: [
                "PatchbayConfig", "PatchbayWire", nio("NIOPosix"), nio("NIOHTTP1"), tls, httpClient, crypto,
            ], swiftSettings: strict),
        .target(
            name: "PatchbayStore",
            dependencies: ["PatchbayCore", crypto, .product(name: "GRDB", package: "GRDB.swift")],
            swiftSettings: strict),
        .target(
            name: "PatchbayControl",
            dependencies: [
                "PatchbayTransports", "PatchbayStore", nio("NIOHTTP1"), httpClient, crypto, metrics,
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOExtras", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Configuration", package: "swift-configuration"),
                nio("NIOPosix"), tls,
            ], swiftSettings: strict),
        .target(
            name: "PatchbayScenarios",
            dependencies: ["PatchbayControl", "PatchbayProcessors"], swiftSettings: strict),
        .target(
            name: "PatchbaySimulators",
            dependencies: [
                "PatchbayTransports", httpClient,
            ], swiftSettings: strict),
        .target(name: "CPatchbayBench", path: "Sources/PatchbayBench/C"),
        .target(
            name: "PatchbayBench",
            dependencies: ["PatchbayProcessors", "CPatchbayBench", "CSampleRate", nio("NIOCore")], exclude: ["C"],
            swiftSettings: strict),
        .target(name: "PatchbayTesting", dependencies: ["PatchbayConfig", "PatchbayStore"], swiftSettings: strict),
        .target(
            name: "Patchbay",
            dependencies: [
                "PatchbayAudio", "PatchbayCore", "PatchbayConfig", "PatchbayProcessors", "PatchbayTransports",
                "PatchbayControl", "PatchbayStore",
            ], swiftSettings: strict),
        .target(
            name: "PatchbayCLI",
            dependencies: [
                "Patchbay", "PatchbaySimulators", "PatchbayScenarios", "PatchbayBench", nio("NIOPosix"), httpClient,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),

        .executableTarget(name: "PatchbayMain", dependencies: ["PatchbayCLI"], swiftSettings: strict),

        .executableTarget(
            name: "PatchbayFrames",
            dependencies: ["Patchbay", "PatchbayTesting", nio("NIOCore"), nio("NIOPosix"), logging],
            path: "Benchmarks/Frames", swiftSettings: strict),

        .testTarget(name: "PatchbayAudioTests", dependencies: ["PatchbayAudio"], swiftSettings: strict),
        .testTarget(
            name: "PatchbayCoreTests", dependencies: ["PatchbayCore", "PatchbayTesting", nio("NIOPosix")],
            swiftSettings: strict),
        .testTarget(name: "PatchbayWireTests", dependencies: ["PatchbayWire", nio("NIOCore")], swiftSettings: strict),
        .testTarget(
            name: "PatchbayConfigTests", dependencies: ["PatchbayConfig"], exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "PatchbayProcessorsTests", dependencies: ["PatchbayProcessors", "PatchbayTesting"],
            swiftSettings: strict),
        .testTarget(
            name: "PatchbayTransportsTests",
            dependencies: ["PatchbayTransports", "PatchbayTesting", nio("NIOPosix"), nio("NIOHTTP1"), tls],
            swiftSettings: strict),
        .testTarget(
            name: "PatchbayStoreTests",
            dependencies: ["PatchbayStore", "PatchbayTesting", .product(name: "GRDB", package: "GRDB.swift")],
            swiftSettings: strict),
        .testTarget(
            name: "PatchbayControlTests",
            dependencies: [
                "Patchbay", "PatchbaySimulators", "PatchbayTesting", nio("NIOPosix"), nio("NIOHTTP1"), httpClient,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "GRDB", package: "GRDB.swift"), crypto,
            ], swiftSettings: strict),
        .testTarget(
            name: "PatchbayScenariosTests",
            dependencies: [
                "PatchbayScenarios", "Patchbay", "PatchbaySimulators", "PatchbayTesting", nio("NIOPosix"), httpClient,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .testTarget(
            name: "PatchbayTestingTests", dependencies: ["PatchbayTesting", "Patchbay"], swiftSettings: strict),
        .testTarget(
            name: "PatchbayTests",
            dependencies: [
                "Patchbay", "PatchbaySimulators", "PatchbayTesting", nio("NIOPosix"), nio("NIOEmbedded"), httpClient,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .testTarget(name: "PatchbayBenchTests", dependencies: ["PatchbayBench"], swiftSettings: strict),
        .testTarget(
            name: "PatchbaySimulatorsTests", dependencies: ["PatchbaySimulators", nio("NIOPosix")],
            swiftSettings: strict),
    ])
