// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "own-pipeline",
    dependencies: [.package(name: "patchbay", path: "../..")],
    targets: [
        .executableTarget(
            name: "OwnPipeline",
            dependencies: [
                .product(name: "PatchbayBuiltin", package: "patchbay"),
                .product(name: "PatchbayKit", package: "patchbay"),
                .product(name: "PatchbayPlugin", package: "patchbay"),
            ]),
        .testTarget(
            name: "OwnPipelineTests",
            dependencies: ["OwnPipeline", .product(name: "PatchbayTesting", package: "patchbay")]),
    ]
)
