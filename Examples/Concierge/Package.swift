// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "concierge",
    dependencies: [
        .package(name: "patchbay", path: "../.."),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: [
        .target(
            name: "Hotel",
            dependencies: [
                .product(name: "Patchbay", package: "patchbay"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .executableTarget(name: "concierge", dependencies: ["Hotel"], path: "Sources/Concierge"),
        .executableTarget(
            name: "hotel-patchbay", dependencies: ["Hotel", .product(name: "PatchbayCLI", package: "patchbay")],
            path: "Sources/ConciergeTool"),
        .testTarget(
            name: "HotelTests", dependencies: ["Hotel", .product(name: "PatchbayTesting", package: "patchbay")]),
    ])
