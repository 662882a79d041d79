/// `prefix` and 43 characters that nobody can guess: 258 bits from the system's generator, in the alphabet of
/// base64url.
func randomToken(_ prefix: String) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    var generator = SystemRandomNumberGenerator()
    return prefix + String((0..<43).map { _ in alphabet[Int.random(in: 0..<64, using: &generator)] })
}
