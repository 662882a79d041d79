internal import Redis

/// What Redis has no command for, in one step each.
extension RedisStore {
    /// Adds `ARGV[1]` to a counter that goes from 0 to `ARGV[2]` and is forgotten after `ARGV[3]` milliseconds, where there is
    /// such a time. The sum is text, since a number of Lua's would be rounded; so one beyond 64 bits shows in `INCRBY` only.
    static let increment = RedisScript(
        """
        local count = tonumber(redis.call('GET', KEYS[1]) or '0')
        if count + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return false end
        local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
        if type(sum) == 'table' then
          if string.find(sum['err'], 'overflow', 1, true) then return false end
          return sum
        end
        if sum < 0 then redis.call('SET', KEYS[1], '0') end
        if ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) else redis.call('PERSIST', KEYS[1]) end
        return redis.call('GET', KEYS[1])
        """)

    /// Members of a set have the time as their score, in milliseconds, at which they expire. The key itself expires when the
    /// last of them does.
    static let lease = RedisScript(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local member, limit, lifetime = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
        if not redis.call('ZSCORE', KEYS[1], member) and redis.call('ZCARD', KEYS[1]) >= limit then return 0 end
        redis.call('ZADD', KEYS[1], now + lifetime, member)
        if redis.call('PTTL', KEYS[1]) < lifetime then redis.call('PEXPIRE', KEYS[1], lifetime) end
        return 1
        """)

    /// How many have not expired.
    static let count = RedisScript(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        return redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf')
        """)
}
