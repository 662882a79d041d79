import PatchbayPlugin

extension AuthOutcome {
    var principal: Principal? {
        if case .accept(let principal) = self { principal } else { nil }
    }

    var denial: Denial? {
        if case .reject(let denial) = self { denial } else { nil }
    }

    var isPass: Bool {
        if case .pass = self { true } else { false }
    }
}
