-- Keeps the counters that are newer than what is there, and nothing else, however the messages
-- arrive: late, twice, in any order. Returns how many it kept.
--
-- KEYS  one per item
-- ARGV  1 seconds to keep, then one value per key: 8 bytes of version, then the totals
--
-- Versions are compared as two 32-bit numbers: Lua has doubles only, which end at 2^53.
local known = redis.call('MGET', unpack(KEYS))
local kept = 0
for place, key in ipairs(KEYS) do
    local value = ARGV[place + 1]
    local is_newer = true
    if known[place] then
        local high, low = struct.unpack('>I4I4', value)
        local known_high, known_low = struct.unpack('>I4I4', known[place])
        is_newer = high > known_high or (high == known_high and low > known_low)
    end
    if is_newer then
        redis.call('SET', key, value, 'EX', ARGV[1])
        kept = kept + 1
    end
end
return kept
