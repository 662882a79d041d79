internal import Redis

/// Each of them is one step for everybody else. All have the same keys: `KEYS` are the organisation's set, the fleet's, the list of
/// slots that gateways hold; then the run's mapping where the slot has a run, and the scope's set where it has a scope. Their
/// arguments begin alike too: the slot's id, the organisation, the slot's entry in that list, the run and the scope, each of these
/// two empty where there is none.
extension SlotTable {
    /// Dograh's own figures, in seconds: how long a slot counts that nobody renews, and how long its keys stay.
    static let staleAfter = 1200
    private static let setLifetime = 3600
    private static let mappingLifetime = 1200
    /// As many leftovers are looked at in one step.
    static let batch = 64

    private static let names = """
        local slot, org, entry, run, scope = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
        local time = redis.call('TIME')
        local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
        local listed = KEYS[3]
        local mapping = run ~= '' and KEYS[4]
        local inside = scope ~= '' and KEYS[#KEYS]
        local sets = {{KEYS[1], slot}, {KEYS[2], org .. ':' .. slot}}
        if inside then sets[3] = {inside, slot} end
        local function bind()
          redis.call('HSET', mapping, 'org_id', org, 'slot_id', slot)
          if inside then redis.call('HSET', mapping, 'scope_key', scope) end
          redis.call('EXPIRE', mapping, \(mappingLifetime))
        end
        local function list(lifetime)
          redis.call('ZADD', listed, now + lifetime, entry)
          redis.call('EXPIRE', listed, \(setLifetime))
        end

        """

    /// `ARGV[6]` is the lease's time in seconds, `ARGV[7]` the organisation's limit, `ARGV[8]` the scope's. A refusal leaves nothing
    /// behind: the count against the limit, or that the run has a slot. The list comes first, so that whatever else is
    /// written, should the rest go wrong, is found there and given back.
    static let acquire = RedisScript(
        names + """
            for _, set in ipairs(sets) do redis.call('ZREMRANGEBYSCORE', set[1], '-inf', now - \(staleAfter)) end
            local calls = redis.call('ZCARD', KEYS[1])
            if calls >= tonumber(ARGV[7]) then return {'full', calls} end
            if inside then
              local ours = redis.call('ZCARD', inside)
              if ours >= tonumber(ARGV[8]) then return {'scope full', ours} end
            end
            if mapping and redis.call('EXISTS', mapping) == 1 then return {'bound', calls} end
            list(tonumber(ARGV[6]))
            for _, set in ipairs(sets) do
              redis.call('ZADD', set[1], now, set[2])
              redis.call('EXPIRE', set[1], \(setLifetime))
            end
            if mapping then bind() end
            return {'taken', calls + 1}
            """)

    /// Moves the slot's time forward, so that nobody takes it for stale. `ARGV[6]` is the lease's time, and `ARGV[7]` is `XX`, or
    /// empty to enter again what is not there any more. Whether all of it was there, or is now.
    static let renew = RedisScript(
        names + """
            local whole = 1
            list(tonumber(ARGV[6]))
            for _, set in ipairs(sets) do
              if ARGV[7] == 'XX' then
                redis.call('ZADD', set[1], 'XX', now, set[2])
                if not redis.call('ZSCORE', set[1], set[2]) then whole = 0 end
              else
                redis.call('ZADD', set[1], now, set[2])
              end
              redis.call('EXPIRE', set[1], \(setLifetime))
            end
            if mapping then
              local holder = redis.call('HGET', mapping, 'slot_id')
              if holder == slot then
                redis.call('EXPIRE', mapping, \(mappingLifetime))
              elseif not holder then
                if ARGV[7] == 'XX' then whole = 0 else bind() end
              end
            end
            return whole
            """)

    /// Gives a slot back: first the sets, then the mapping, which may be another slot's by now. With `ARGV[6]` not empty only one
    /// whose gateway has not renewed it in time. Whether there was one.
    static let release = RedisScript(
        names + """
            if ARGV[6] ~= '' then
              local expiry = redis.call('ZSCORE', listed, entry)
              if not expiry or tonumber(expiry) > now then return 0 end
            end
            local gone = 0
            for _, set in ipairs(sets) do gone = redis.call('ZREM', set[1], set[2]) end
            if mapping and redis.call('HGET', mapping, 'slot_id') == slot then redis.call('DEL', mapping) end
            redis.call('ZREM', listed, entry)
            return gone
            """)

    /// How many slots of a set are not stale.
    static let count = RedisScript(
        """
        local now = tonumber(redis.call('TIME')[1])
        return redis.call('ZCOUNT', KEYS[1], '(' .. now - \(staleAfter), '+inf')
        """)

    /// Some of the slots that were not renewed in time; `KEYS[1]` is the list.
    static let expired = RedisScript(
        """
        local time = redis.call('TIME')
        local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
        return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, \(batch))
        """)
}
