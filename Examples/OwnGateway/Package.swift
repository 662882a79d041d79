// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "own-gateway",
    dependencies: [.package(name: "patchbay", path: "../..")],
    targets: [
        .executableTarget(
            name: "OwnGateway",
            dependencies: [
                .product(name: "PatchbayBuiltin", package: "patchbay"),
                .product(name: "PatchbayKit", package: "patchbay"),
                .product(name: "PatchbayPlugin", package: "patchbay"),
            ]),
        .testTarget(
            name: "OwnGatewayTests",
            dependencies: ["OwnGateway", .product(name: "PatchbayTesting", package: "patchbay")]),
    ]
)
