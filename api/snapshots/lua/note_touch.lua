-- What one viewer's write changes for their later pages, whoever serves them.
--
-- KEYS  1 touched, 2 seen videos of today, 3 seen posts of today, 4 hidden users
-- ARGV  1 mark, 2 position of the write ('' for none, 'now' for this clock), 3 seconds kept,
--       4 most hidden users, then five lists, each its length first: types of items to be ranked
--       anew, places of videos, places of posts, users to hide, users not to hide any more
--
-- Ids are 8 bytes and never become numbers. Positions do: they stay below 2^53.
local kept, most_hidden = ARGV[3], tonumber(ARGV[4])

local position = ARGV[2]
if position == 'now' then
    local now = redis.call('TIME')
    position = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
end

local at = 5
local function each(work)
    local count = tonumber(ARGV[at])
    for i = at + 1, at + count do work(ARGV[i]) end
    at = at + 1 + count
    return count > 0
end

local function touch(item_type)
    redis.call('HSET', KEYS[1], item_type, ARGV[1])
    if position == '' then return end
    -- Two writes may tell in the other order than they were made.
    local field = item_type .. ':position'
    local known = tonumber(redis.call('HGET', KEYS[1], field) or 0)
    if tonumber(position) > known then redis.call('HSET', KEYS[1], field, position) end
end

local function hide(user)
    if redis.call('SISMEMBER', KEYS[4], user) == 1 then return end
    if redis.call('SCARD', KEYS[4]) >= most_hidden then redis.call('SPOP', KEYS[4]) end
    redis.call('SADD', KEYS[4], user)
end

if each(touch) then redis.call('EXPIRE', KEYS[1], kept) end
for _, key in ipairs({KEYS[2], KEYS[3]}) do
    if each(function(place) redis.call('SETBIT', key, place, 1) end) then
        redis.call('EXPIRE', key, kept)
    end
end
if each(hide) then redis.call('EXPIRE', KEYS[4], kept) end
each(function(user) redis.call('SREM', KEYS[4], user) end)
return 1
