-- Keeps a snapshot, what its walk has been shown with it, and, for a first page, makes it the
-- viewer's current one. The one it replaces lives on as long as its cursors do.
--
-- KEYS  1 snapshot, 2 shown, 3 head, 4 lock, 5 touched
-- ARGV  1 snapshot seconds, 2 seconds the last good one is kept, 3 'head' or '', 4 session,
--       5 made ms, 6 release ms, 7 key prefix, 8 lock token, 9 mark it was ranked under, 10 field
--       of the viewer's mark now ('' when no touch matters), 11 position it was ranked at,
--       12 position that what ranks was made of, 13 large posts it has, 14 number of shown lists n,
--       then n pairs of generation and packed ids, then the pairs of field and value
local ttl, kept = tonumber(ARGV[1]), tonumber(ARGV[2])
local lists = tonumber(ARGV[14])
local fields = 15 + 2 * lists

redis.call('HSET', KEYS[1], unpack(ARGV, fields))
redis.call('EXPIRE', KEYS[1], ttl)
if lists > 0 then redis.call('HSET', KEYS[2], unpack(ARGV, 15, fields - 1)) end
redis.call('EXPIRE', KEYS[2], ttl)

if ARGV[3] == 'head' then
    local head = redis.call('HMGET', KEYS[3], 'session', 'made_ms', 'release_ms', 'mark')
    local mark = ARGV[10] ~= '' and redis.call('HGET', KEYS[5], ARGV[10]) or ''
    -- Ranked before a write that another ranking has seen by now: only its own walk is served.
    local is_overtaken = ARGV[9] ~= mark and head[4] == mark
    local is_newest = not head[1] or (not is_overtaken
        and tonumber(ARGV[5]) >= tonumber(head[2])
        and tonumber(ARGV[6]) >= tonumber(head[3]))
    if is_newest then
        if head[1] then redis.call('EXPIRE', ARGV[7] .. 'snapshot:' .. head[1] .. ':0', ttl) end
        redis.call(
            'HSET', KEYS[3], 'session', ARGV[4], 'made_ms', ARGV[5], 'release_ms', ARGV[6],
            'mark', ARGV[9], 'position', ARGV[11], 'refreshed', ARGV[12], 'checked', ARGV[13]
        )
        redis.call('EXPIRE', KEYS[3], math.max(kept, ttl))
        redis.call('EXPIRE', KEYS[1], math.max(kept, ttl))
    end
end
if redis.call('GET', KEYS[4]) == ARGV[8] then redis.call('DEL', KEYS[4]) end
return 1
