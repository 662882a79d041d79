// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "my-plugin",
    dependencies: [
        .package(name: "patchbay", path: "../patchbay")
    ],
    targets: [
        .executableTarget(
            name: "MyPlugin",
            dependencies: [
                .product(name: "PatchbayBuiltin", package: "patchbay"),
                .product(name: "PatchbayKit", package: "patchbay"),
                .product(name: "PatchbayPlugin", package: "patchbay"),
            ]),
        .testTarget(
            name: "MyPluginTests",
            dependencies: [
                "MyPlugin",
                .product(name: "PatchbayTesting", package: "patchbay"),
            ]),
    ]
)
