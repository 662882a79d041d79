extension WaveFile {
    /// Reads a regular file of at most 64 MiB.
    ///
    /// - Throws: a ``SettingsFault`` that names the file and says why it cannot be played.
    public init(reading path: String) throws(SettingsFault) {
        let bytes: [UInt8]
        do throws(RegularFileError) {
            bytes = try readRegularFile(path, limit: 64 << 20)
        } catch {
            throw SettingsFault("cannot play \(path): \(error)")
        }
        do throws(WaveError) {
            self = try WaveFile(parsing: bytes)
        } catch {
            throw SettingsFault("cannot play \(path): \(error)")
        }
    }
}
