import PatchbayBuiltin
import PatchbayKit

await Patchbay.main(plugins: .builtin + [.pipeline(Burn.self)])
