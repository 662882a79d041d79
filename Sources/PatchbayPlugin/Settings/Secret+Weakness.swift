extension Secret {
    /// Why it can be guessed: `the secret is a placeholder`; nil when nothing is known. How long it must be is for others
    /// to say.
    package var weakness: String? {
        withValue { secret in
            guard Set(secret.utf8).count >= 4 else {
                return "the secret is made of fewer than four different characters"
            }
            return isPlaceholder(secret) ? "the secret is a placeholder" : nil
        }
    }
}

/// Whether nothing is left of a text without the words that placeholders are made of, or next to nothing.
private func isPlaceholder(_ text: String) -> Bool {
    var rest = text.lowercased()
    for word in placeholderWords { rest = rest.replacing(word, with: " ") }
    return rest.count { $0.isNumber } < 8 && !rest.contains { $0.isLetter }
}

/// The longer words first: `change-me-in-production`, `your-turn-secret-here`, `a-string-secret-at-least-256-bits-long`.
private let placeholderWords = [
    "placeholder", "production", "characters", "password", "patchbay", "default", "example", "minimum", "replace",
    "change", "coturn", "dograh", "please", "random", "secret", "server", "shared", "static", "string", "least",
    "super", "token", "value", "auth", "bits", "here", "hmac", "long", "must", "sign", "test", "this", "turn", "very",
    "with", "your", "bit", "jwt", "key", "now", "the", "at", "be", "in", "is", "me", "my", "or", "to", "a",
]
