/// A piece of sound: signed 16-bit samples, one channel.
///
/// `audio.input` delivers 20 ms at a time. A frame to play may have any length.
public struct PCMFrame: Sendable, Hashable {
    /// Samples, first to last.
    public var samples: [Int16]
    /// Samples a second.
    public var sampleRate: Int
    /// Media time of the first sample since the call's first: it goes on through silence and loss.
    public var timestamp: Duration
    /// The packet was lost and this is the codec's guess at it.
    public var concealed: Bool
    /// Nothing but background: less than 10 dB louder than the quietest moments of the last seconds, or below -60 dBFS.
    ///
    /// A guess by loudness alone; whoever needs to know runs a voice activity detector on the samples.
    public var silent: Bool
    /// What the caller's client says of the packet in which the frame begins; nil when it does not say, and where
    /// there was no packet.
    public var audioLevel: AudioLevel?

    /// Makes a frame.
    public init(
        _ samples: [Int16], sampleRate: Int, timestamp: Duration = .zero, concealed: Bool = false, silent: Bool = false,
        audioLevel: AudioLevel? = nil
    ) {
        self.samples = samples
        self.sampleRate = sampleRate
        self.timestamp = timestamp
        self.concealed = concealed
        self.silent = silent
        self.audioLevel = audioLevel
    }

    /// How long it sounds.
    public var duration: Duration {
        .nanoseconds(Int64(samples.count) * 1_000_000_000 / Int64(max(sampleRate, 1)))
    }
}

/// How loud a packet is, as its sender measured before it was encoded (RFC 6464).
public struct AudioLevel: Sendable, Hashable {
    /// In -dBov: 0 is the loudest there is, 127 is digital silence or nearly so.
    public var level: Int
    /// Whether the sender takes it for speech. Some clients say so of every packet.
    public var isVoice: Bool

    /// Makes a level; it is held within 0...127.
    public init(level: Int, isVoice: Bool) {
        self.level = min(max(level, 0), 127)
        self.isVoice = isVoice
    }

    /// From the byte of the header extension: V on top, the level below.
    package init(byte: UInt8) {
        self.init(level: Int(byte & 0x7f), isVoice: byte & 0x80 != 0)
    }
}

/// The rates at which a pipeline hears and speaks.
public struct AudioFormat: Sendable, Hashable {
    /// Samples a second of `audio.input`: 8000, 16000, 24000 or 48000.
    public var inputRate: Int
    /// Samples a second of what is played: 8000, 16000, 24000 or 48000.
    public var outputRate: Int

    /// Makes a format; the default is 16 kHz both ways, what most speech recognisers want.
    public init(inputRate: Int = 16_000, outputRate: Int = 16_000) {
        self.inputRate = inputRate
        self.outputRate = outputRate
    }
}

/// Sound at a rate that is not to be had.
public struct WrongSampleRate: Error, CustomStringConvertible {
    /// What the frame has.
    public var found: Int

    /// Makes the error, which the host and tests do.
    public init(found: Int) {
        self.found = found
    }

    /// The rate, and what it can be.
    public var description: String {
        "a frame has \(found) samples a second; it can have 8000, 16000, 24000 or 48000"
    }
}
