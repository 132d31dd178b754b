-- Notes up to which post of a large author a viewer's current snapshot was checked, if it is still
-- the one that was.
--
-- KEYS  1 head
-- ARGV  1 session, 2 entry
if redis.call('HGET', KEYS[1], 'session') == ARGV[1] then
    redis.call('HSET', KEYS[1], 'checked', ARGV[2])
end
return 1
