internal import PatchbayPlugin
internal import Redis

/// What Redis has no command for, in one step each.
extension RedisStore {
    /// Adds one to a counter that goes up to `ARGV[1]`. The sum is text, since a number of Lua's would be rounded; so one
    /// beyond 64 bits shows in `INCR` only.
    static let increment = RedisScript(
        """
        if tonumber(redis.call('GET', KEYS[1]) or '0') + 1 > tonumber(ARGV[1]) then return false end
        local sum = redis.pcall('INCR', KEYS[1])
        if type(sum) == 'table' then
          if string.find(sum['err'], 'overflow', 1, true) then return false end
          return sum
        end
        return redis.call('GET', KEYS[1])
        """)

    /// `CounterShare.apply`: a share is a number, with `settled` behind it where it is. `KEYS` are the counter and the share;
    /// `ARGV[1]` is what the member wants, `ARGV[2]` the limit, or empty to settle, `ARGV[3]` the time to live in
    /// milliseconds, and `ARGV[4]` that of a settled share.
    static let share = RedisScript(
        """
        local count = tonumber(redis.call('GET', KEYS[1]) or '0')
        local amount, word = string.match(redis.call('GET', KEYS[2]) or '0', '^(%d+)(.*)$')
        amount = tonumber(amount)
        local before, wanted = amount, tonumber(ARGV[1])
        if word == '' then
          if ARGV[2] == '' then
            amount, word = wanted, ' settled'
          else
            local room = math.max(0, tonumber(ARGV[2]) - count)
            amount = amount + math.min(math.max(0, wanted - amount), room)
          end
        end
        count = math.min(math.max(0, count + amount - before), \(CounterShare.most))
        local share, sum = string.format('%.0f', amount), string.format('%.0f', count)
        redis.call('SET', KEYS[1], sum, 'PX', ARGV[3])
        if word ~= '' then
          redis.call('SET', KEYS[2], share .. word, 'PX', ARGV[4])
        elseif amount > 0 then
          redis.call('SET', KEYS[2], share, 'PX', ARGV[3])
        end
        return {share, sum}
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
