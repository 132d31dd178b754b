-- Forgets counters, unless they have changed since they were looked at. Returns how many it forgot.
--
-- KEYS  one per item
-- ARGV  the value each key had
local dropped = 0
for place, key in ipairs(KEYS) do
    if redis.call('GET', key) == ARGV[place] then dropped = dropped + redis.call('DEL', key) end
end
return dropped
