-- charge(key, limit, window_ms): counts one request in a sliding window of two fixed ones, the
-- earlier weighted by how much of it the window still covers. Windows start with the first
-- request, so a burst never straddles a boundary. Redis' clock counts: workers' clocks differ.
-- Returns {allowed 0|1, remaining, reset_ms, retry_after_ms}; a refused request is not counted.
local function charge(key, limit, window_ms)
    local clock = redis.call('TIME')
    local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
    local state = redis.call('HMGET', key, 'start', 'current', 'previous')
    local start, current, previous = now, 0, 0
    if state[1] then
        start, current, previous = tonumber(state[1]), tonumber(state[2]), tonumber(state[3])
        local passed = math.floor((now - start) / window_ms)
        if passed >= 2 or passed < 0 then
            start, current, previous = now, 0, 0
        elseif passed == 1 then
            start, current, previous = start + window_ms, 0, current
        end
    end
    local elapsed = now - start
    local used = current + previous * (1 - elapsed / window_ms)
    local reset = window_ms - elapsed
    if used + 1 > limit then
        local wait
        if current + 1 > limit then
            wait = reset + window_ms * (1 - (limit - 1) / current)
        else
            wait = window_ms * (1 - (limit - 1 - current) / previous) - elapsed
        end
        return {0, 0, reset, math.ceil(wait)}
    end
    redis.call('HSET', key, 'start', start, 'current', current + 1, 'previous', previous)
    redis.call('PEXPIRE', key, 2 * window_ms)
    return {1, math.floor(limit - used - 1), reset, 0}
end
