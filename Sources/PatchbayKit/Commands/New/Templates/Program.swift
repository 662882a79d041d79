import PatchbayBuiltin
import PatchbayKit

await Patchbay.main(plugins: .builtin + [.kind(MyPlugin.self)])
