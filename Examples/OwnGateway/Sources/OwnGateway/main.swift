import PatchbayBuiltin
import PatchbayKit

await Patchbay.main(plugins: .builtin + [.pipeline(Backwards.self), .auth(GuestList.self)])
