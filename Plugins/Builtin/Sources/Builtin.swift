public import PatchbayKit

#if APIKeyAuth
    internal import APIKeyAuth
#endif
#if CallMinutesQuota
    internal import CallMinutesQuota
#endif
#if ConcurrencyQuota
    internal import ConcurrencyQuota
#endif
#if DograhQuota
    internal import DograhQuota
#endif
#if DograhSlotsQuota
    internal import DograhSlotsQuota
#endif
#if EchoPipeline
    internal import EchoPipeline
#endif
#if EmbedTokenAuth
    internal import EmbedTokenAuth
#endif
#if HTTPAuth
    internal import HTTPAuth
#endif
#if ICEPolicies
    internal import ICEPolicies
#endif
#if JWTAuth
    internal import JWTAuth
#endif
#if MemoryStore
    internal import MemoryStore
#endif
#if ParrotPipeline
    internal import ParrotPipeline
#endif
#if PlayerPipeline
    internal import PlayerPipeline
#endif
#if RedisStore
    internal import RedisStore
#endif
#if SQLiteStore
    internal import SQLiteStore
#endif
#if WebSocketPipeline
    internal import WebSocketPipeline
#endif

extension [PluginRegistration] {
    /// The plugins that come with Patchbay, less those whose package traits are off.
    public static var builtin: [PluginRegistration] {
        var plugins: [PluginRegistration] = []
        #if JWTAuth
            plugins.append(.auth(JWTAuth.self))
        #endif
        #if APIKeyAuth
            plugins.append(.auth(APIKeyAuth.self))
        #endif
        #if HTTPAuth
            plugins.append(.auth(HTTPAuth.self))
        #endif
        #if EmbedTokenAuth
            plugins.append(.auth(EmbedTokenAuth.self))
        #endif
        #if ConcurrencyQuota
            plugins.append(.quota(ConcurrencyQuota.self))
        #endif
        #if CallMinutesQuota
            plugins.append(.quota(CallMinutesQuota.self))
        #endif
        #if DograhQuota
            plugins.append(.quota(DograhQuota.self))
        #endif
        #if DograhSlotsQuota
            plugins.append(.quota(DograhSlotsQuota.self))
        #endif
        #if EchoPipeline
            plugins.append(.pipeline(EchoPipeline.self))
        #endif
        #if ParrotPipeline
            plugins.append(.pipeline(ParrotPipeline.self))
        #endif
        #if PlayerPipeline
            plugins.append(.pipeline(PlayerPipeline.self))
        #endif
        #if WebSocketPipeline
            plugins.append(.pipeline(WebSocketPipeline.self))
        #endif
        #if ICEPolicies
            plugins += [
                .icePolicy(NoneICEPolicy.self, isPredeclared: true),
                .icePolicy(PrivateICEPolicy.self, isPredeclared: true),
                .icePolicy(PublicICEPolicy.self, isPredeclared: true),
                .icePolicy(AllICEPolicy.self, isPredeclared: true),
            ]
        #endif
        #if MemoryStore
            plugins.append(.store(MemoryStore.self, isPredeclared: true))
        #endif
        #if SQLiteStore
            plugins.append(.store(SQLiteStore.self))
        #endif
        #if RedisStore
            plugins.append(.store(RedisStore.self))
        #endif
        return plugins
    }
}
