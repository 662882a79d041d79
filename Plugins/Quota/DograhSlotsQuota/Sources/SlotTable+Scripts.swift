internal import Redis

/// Each of them is one step for everybody else. All have the same keys: `KEYS` are the organisation's set, the fleet's, the run's
/// mapping, the list of slots that gateways hold, and the scope's set where there is one. Their arguments begin alike too:
/// the slot's id, the organisation, the slot's entry in that list, and the scope where there is one, else nothing.
extension SlotTable {
    /// Dograh's own figures, in seconds: how long a slot counts that nobody renews, and how long its keys stay.
    static let staleAfter = 1200
    private static let setLifetime = 3600
    private static let mappingLifetime = 1200

    private static let names = """
        local slot, org, entry, scope = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
        local time = redis.call('TIME')
        local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
        local sets = {{KEYS[1], slot}, {KEYS[2], org .. ':' .. slot}}
        if KEYS[5] then sets[3] = {KEYS[5], slot} end
        local function bind()
          redis.call('HSET', KEYS[3], 'org_id', org, 'slot_id', slot)
          if KEYS[5] then redis.call('HSET', KEYS[3], 'scope_key', scope) end
        end
        local function list(lifetime)
          redis.call('ZADD', KEYS[4], now + lifetime, entry)
          redis.call('EXPIRE', KEYS[4], \(setLifetime))
        end

        """

    /// `ARGV[5]` is the lease's time in seconds, `ARGV[6]` the organisation's limit, `ARGV[7]` the scope's. A refusal leaves nothing
    /// behind: the count against the limit, or that the run has a slot.
    static let acquire = RedisScript(
        names + """
            for _, set in ipairs(sets) do redis.call('ZREMRANGEBYSCORE', set[1], '-inf', now - \(staleAfter)) end
            local calls = redis.call('ZCARD', KEYS[1])
            if calls >= tonumber(ARGV[6]) then return {'full', calls} end
            if KEYS[5] then
              local inside = redis.call('ZCARD', KEYS[5])
              if inside >= tonumber(ARGV[7]) then return {'scope full', inside} end
            end
            if redis.call('EXISTS', KEYS[3]) == 1 then return {'bound', calls} end
            for _, set in ipairs(sets) do
              redis.call('ZADD', set[1], now, set[2])
              redis.call('EXPIRE', set[1], \(setLifetime))
            end
            bind()
            redis.call('EXPIRE', KEYS[3], \(mappingLifetime))
            list(tonumber(ARGV[5]))
            return {'taken', calls + 1}
            """)

    /// Moves the slot's time forward, so that nobody takes it for stale. `ARGV[5]` is the lease's time, and `ARGV[6]` is `XX`, or
    /// empty to enter again what is not there any more. Whether all of it was there, or is now.
    static let renew = RedisScript(
        names + """
            local whole = 1
            for _, set in ipairs(sets) do
              if ARGV[6] == 'XX' then
                redis.call('ZADD', set[1], 'XX', now, set[2])
                if not redis.call('ZSCORE', set[1], set[2]) then whole = 0 end
              else
                redis.call('ZADD', set[1], now, set[2])
              end
              redis.call('EXPIRE', set[1], \(setLifetime))
            end
            local holder = redis.call('HGET', KEYS[3], 'slot_id')
            if not holder then
              if ARGV[6] == 'XX' then whole = 0 else bind() end
            end
            if not holder or holder == slot then redis.call('EXPIRE', KEYS[3], \(mappingLifetime)) end
            list(tonumber(ARGV[5]))
            return whole
            """)

    /// Gives a slot back: first the sets, then the mapping, which may be another slot's by now. With `ARGV[5]` not empty only one
    /// whose gateway has not renewed it in time. Whether there was one.
    static let release = RedisScript(
        names + """
            if ARGV[5] ~= '' then
              local expiry = redis.call('ZSCORE', KEYS[4], entry)
              if not expiry or tonumber(expiry) > now then return 0 end
            end
            local gone = 0
            for _, set in ipairs(sets) do gone = redis.call('ZREM', set[1], set[2]) end
            if redis.call('HGET', KEYS[3], 'slot_id') == slot then redis.call('DEL', KEYS[3]) end
            redis.call('ZREM', KEYS[4], entry)
            return gone
            """)

    /// Some of the slots that were not renewed in time; `KEYS[1]` is the list.
    static let expired = RedisScript(
        """
        local time = redis.call('TIME')
        local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
        return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 64)
        """)
}
