// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "burn",
    dependencies: [.package(name: "patchbay", path: "../..")],
    targets: [
        .executableTarget(
            name: "Burn",
            dependencies: [
                .product(name: "PatchbayBuiltin", package: "patchbay"),
                .product(name: "PatchbayKit", package: "patchbay"),
                .product(name: "PatchbayPlugin", package: "patchbay"),
            ])
    ]
)
