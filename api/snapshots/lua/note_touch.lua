-- What one viewer's write changes for their later pages, whoever serves them.
--
-- KEYS  1 touched, 2 seen videos of today, 3 seen posts of today, 4 hidden users, 5 deleted posts
-- ARGV  1 mark, 2 position of the write ('' for none, 'now' for this clock), 3 seconds kept,
--       4 most hidden users, 5 videos seen and 6 posts seen (start and step of each, 16 bits),
--       7 posts deleted (8 bytes each), 8 most deleted posts, 9 number n of types of items to be
--       ranked anew, then these, then pairs of score and user hidden or not (see exclusions.py)
-- touches.py writes the constants in front: BITS, HASHES, as read_page.lua has them.
--
-- Ids are 8 bytes and never become numbers. Positions and scores do: they stay below 2^53.
local kept, most_hidden = ARGV[3], tonumber(ARGV[4])

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local position = ARGV[2]
if position == 'now' then position = string.format('%.0f', now_ms) end

local function touch(item_type)
    redis.call('HSET', KEYS[1], item_type, ARGV[1])
    if position == '' then return end
    -- Two writes may tell in the other order than they were made.
    local field = item_type .. ':position'
    local known = tonumber(redis.call('HGET', KEYS[1], field) or 0)
    if tonumber(position) > known then redis.call('HSET', KEYS[1], field, position) end
end

local function see(key, items)
    if items == '' then return end
    for i = 1, #items, 4 do
        local a, b, c, d = string.byte(items, i, i + 3)
        local start, step = a * 256 + b, c * 256 + d
        for hash = 0, HASHES - 1 do redis.call('SETBIT', key, (start + hash * step) % BITS, 1) end
    end
    redis.call('EXPIRE', key, kept)
end

local function delete(posts)
    if posts == '' then return end
    for i = 1, #posts, 8 do redis.call('ZADD', KEYS[5], now_ms, string.sub(posts, i, i + 7)) end
    redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now_ms - kept * 1000)
    redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -1 - ARGV[8])
    redis.call('EXPIRE', KEYS[5], kept)
end

local types = tonumber(ARGV[9])
for i = 10, 9 + types do touch(ARGV[i]) end
if types > 0 then redis.call('EXPIRE', KEYS[1], kept) end
see(KEYS[2], ARGV[5])
see(KEYS[3], ARGV[6])
delete(ARGV[7])
for i = 10 + types, #ARGV, 2 do redis.call('ZADD', KEYS[4], 'GT', ARGV[i], ARGV[i + 1]) end
if 10 + types <= #ARGV then
    redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - most_hidden)
    redis.call('EXPIRE', KEYS[4], kept)
end
return 1
