/// What a new plugin cannot be called, because something that is built with it has the name.
///
/// Two modules of one name do not build, and a type hides one of its name that it is written with. Tests see to it that
/// nothing is missing here.
enum ReservedNames {
    static let all = Set(
        [swift, plugin, templates, ours, theirs].flatMap { $0.split(separator: " ").map(String.init) })

    /// Words of the language, its library's types and modules.
    private static let swift = """
        Any Array Bool Character ContinuousClock Decodable Dictionary Double Duration Encodable Error Float Hashable \
        Int Int16 Mutex Never Optional Protocol Result Self Sendable Sequence Set String Substring Swift Task Type \
        UInt8 UTF8 Void Cxx CxxStdlib Dispatch Distributed Foundation FoundationEssentials \
        FoundationInternationalization FoundationNetworking FoundationXML Glibc Observation PackageDescription \
        RegexBuilder Runtime Synchronization Testing XCTest Issue Suite Tag Test
        """

    /// What `PatchbayPlugin` and `PatchbayTesting` have for plugins to use.
    private static let plugin = """
        AddressScope AudioFormat AudioInput AudioLevel AudioOutput AuthOutcome AuthPlugin Call CallAudio CallEvent \
        CallRequest CallUsage Candidate ConformanceFault ConnectRequest CounterShare Denial Direction FakeCall Field \
        FieldChoice FieldScalar FieldValue FileReference ICEPolicyPlugin JSONError JSONValue KnownCredential Lease \
        MarkOutcome OwnFile PCMFrame Patchbay PipelineError PipelinePlugin PlaybackMark Plugin PluginConformance \
        PluginContext PluginRegistration PluginSettings Principal QuotaOutcome QuotaPlugin QuotaScope QuotaTiming QuotaUsage \
        Route RouteProvider RouteRequest RouteResponse RunError RunOwner Secret SettingsFault SettingsNode SettingsReader \
        SpokenText StorePlugin StoreReference TURNAccess TURNCredentials TestClock Timestamp TokenMinter TokenRequest \
        WaveError WaveFile WorkflowRun WorkflowRuns WorkflowStep WrongSampleRate
        """

    /// What the written files have beside the plugin itself.
    private static let templates = "Kind Package PackageResources Settings StoreIsFull"

    /// Modules of Patchbay.
    private static let ours = """
        APIKeyAuth Audio COpenSSL COpus CPacketPath CSRTP CSocket CSpeexDSP CYAML CallMinutesQuota \
        ConcurrencyQuota DTLS DograhQuota DograhSlotsQuota EchoPipeline EmbedTokenAuth HTTPAuth ICE ICEPolicies \
        JWTAuth Media MemoryStore OutboundHTTP ParrotPipeline PatchbayBuiltin PatchbayConfig PatchbayKit \
        PatchbayPlugin PatchbayTesting PlayerPipeline RTP Redis RedisStore SDP SQLiteStore SRTP STUN Signaling \
        TURN TestSupport WebRTC WebSocket WebSocketPipeline Wire
        """

    /// Modules that it is built with.
    private static let theirs = """
        Algorithms ArgumentParser ArgumentParserToolInfo AsyncAlgorithms AsyncHTTPClient AsyncStreaming Atomics \
        BasicContainers BitCollections CAsyncHTTPClient CCryptoBoringSSL CCryptoBoringSSLShims CNIOAtomics \
        CNIOBoringSSL CNIOBoringSSLShims CNIODarwin CNIOExtrasZlib CNIOFreeBSD CNIOLLHTTP CNIOLinux CNIOOpenBSD \
        CNIOPosix CNIOSHA1 CNIOWASI CNIOWindows CXKCP CXKCPShims Collections ComplexModule ConcurrencyHelpers \
        Configuration ConfigurationTesting ConfigurationTestingInternal ContainersPreview CoreMetrics Crypto \
        CryptoBoringWrapper CryptoExtras DequeModule GRDB HTTPTypes HTTPTypesFoundation HashTreeCollections \
        HeapModule Hummingbird HummingbirdCore HummingbirdHTTP2 HummingbirdRouter HummingbirdTLS HummingbirdTesting \
        InMemoryLogging InMemoryTracing Instrumentation InstrumentationBaggage InternalCollectionsUtilities JWTKit \
        Logging Metrics MetricsTestKit NIO NIOCertificateHelpers NIOCertificateReloading NIOConcurrencyHelpers \
        NIOCore NIOEmbedded NIOExtras NIOFileSystem NIOFoundationCompat NIOFoundationEssentialsCompat NIOHPACK \
        NIOHTTP1 NIOHTTP2 NIOHTTPCompression NIOHTTPResponsiveness NIOHTTPTypes NIOHTTPTypesHTTP1 NIOHTTPTypesHTTP2 \
        NIOPosix NIOResumableUpload NIOSOCKS NIOSSL NIOSSLHTTP1Client NIOTLS NIOTLSServer NIOTestUtils \
        NIOTransportServices NIOWebSocket Numerics OrderedCollections PerformanceTest RawStructuredFieldValues \
        RealModule ServiceContextModule ServiceContextModuleCompatibility ServiceLifecycle ServiceLifecycleTestKit \
        SortedCollections StructuredFieldValues SwiftASN1 SystemPackage Tracing TrailingElementsModule UnixSignals \
        X509
        """
}
