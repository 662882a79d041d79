import PatchbayPlugin

extension QuotaOutcome {
    var lease: Lease? {
        if case .admit(let lease) = self { lease } else { nil }
    }

    var denial: Denial? {
        if case .deny(let denial) = self { denial } else { nil }
    }
}
