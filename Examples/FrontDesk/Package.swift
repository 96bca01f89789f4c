// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let patchbay: Target.Dependency = .product(name: "Patchbay", package: "patchbay")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")

let package = Package(
    name: "front-desk",
    products: [
        .library(name: "FrontDesk", targets: ["FrontDesk"]),
        .executable(name: "frontdesk", targets: ["frontdesk"]),
    ],
    dependencies: [
        .package(name: "patchbay", path: "../.."),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", .upToNextMinor(from: "2.28.1")),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", .upToNextMinor(from: "2.13.0")),
        .package(url: "https://github.com/groue/GRDB.swift.git", .upToNextMinor(from: "7.10.0")),
        .package(url: "https://github.com/apple/swift-crypto.git", .upToNextMinor(from: "4.5.2")),
        .package(url: "https://github.com/apple/swift-argument-parser.git", .upToNextMinor(from: "1.8.2")),
    ],
    targets: [
        .target(
            name: "FrontDesk",
            dependencies: [
                patchbay, hummingbird, lifecycle,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Crypto", package: "swift-crypto"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "frontdesk",
            dependencies: ["FrontDesk", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Sources/FrontDeskTool", swiftSettings: strict),
        .testTarget(
            name: "FrontDeskTests",
            dependencies: [
                "FrontDesk", .product(name: "PatchbayTesting", package: "patchbay"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
            ], swiftSettings: strict),
    ])
