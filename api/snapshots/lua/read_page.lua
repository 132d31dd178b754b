-- One page in one round trip: charges the viewer (`charge` of limits.lua stands above), finds the
-- snapshot, leaves out what was watched since it was made, and keeps alive what the walk needs.
--
-- KEYS  1 limit, 2 head, 3 snapshot and 4 shown (of a cursor), 5 lock, 6 seen today, 7 yesterday
-- ARGV  1 requests per window (0: charge nothing), 2 window ms, 3 'head' or 'cursor', 4 position,
--       5 items, 6 oldest head ms, 7 oldest release ms, 8 key prefix, 9 snapshot seconds,
--       10 lock token ('' for none), 11 lock ms, 12 items per block, 13 filter bits, 14 hashes
--
-- Found     {verdict, 1, session, meta, total, next position, chosen places, place, lowest place,
--            first block, blocks}
-- Not found {verdict, 0, 1 when this caller shall rank, seen today, seen yesterday}
-- Refused   {verdict}
--
-- Ids never become numbers here: Lua has doubles only. Places are 22 bytes, see snapshot.py.
local PLACE = 22

local verdict = {1, 0, 0, 0}
local limit = tonumber(ARGV[1])
if limit > 0 then
    verdict = charge(KEYS[1], limit, tonumber(ARGV[2]))
    if verdict[1] == 0 then return {verdict} end
end

local seen = {redis.call('GET', KEYS[6]) or '', redis.call('GET', KEYS[7]) or ''}

local snapshot, shown, session = KEYS[3], KEYS[4], ''
if ARGV[3] == 'head' then
    local head = redis.call('HMGET', KEYS[2], 'session', 'made_ms', 'release_ms')
    if head[1] and tonumber(head[2]) >= tonumber(ARGV[6])
        and tonumber(head[3]) >= tonumber(ARGV[7]) then
        session = head[1]
        snapshot = ARGV[8] .. 'snapshot:' .. session .. ':0'
        shown = ARGV[8] .. 'shown:' .. session
    else
        snapshot = nil
    end
end

local stored = snapshot and redis.call('HMGET', snapshot, 'meta', 'places') or {}
if not stored[2] then
    local shall_rank = 1
    if ARGV[10] ~= '' and not redis.call('SET', KEYS[5], ARGV[10], 'NX', 'PX', ARGV[11]) then
        shall_rank = redis.call('GET', KEYS[5]) == ARGV[10] and 1 or 0
    end
    return {verdict, 0, shall_rank, seen[1], seen[2]}
end

local ttl = tonumber(ARGV[9])
for _, key in ipairs({snapshot, shown}) do
    if redis.call('TTL', key) < ttl then redis.call('EXPIRE', key, ttl) end
end

local places = stored[2]
local total = #places / PLACE
local bits, hashes = tonumber(ARGV[13]), tonumber(ARGV[14])

local function is_in(bitmap, start, step)
    for i = 0, hashes - 1 do
        local place = (start + i * step) % bits
        local byte = string.byte(bitmap, math.floor(place / 8) + 1)
        if not byte or bit.band(byte, bit.rshift(128, place % 8)) == 0 then return false end
    end
    return true
end

local has_seen = seen[1] ~= '' or seen[2] ~= ''

local function is_seen(index)
    if not has_seen then return false end
    local a, b, c, d = string.byte(places, index * PLACE + 19, index * PLACE + 22)
    local start, step = a * 256 + b, c * 256 + d
    return is_in(seen[1], start, step) or is_in(seen[2], start, step)
end

local position, wanted = tonumber(ARGV[4]), tonumber(ARGV[5])
local chosen = {}
while position < total and #chosen < wanted do
    if not is_seen(position) then chosen[#chosen + 1] = position end
    position = position + 1
end

local place, lowest = '', ''
if position > 0 and position <= total then
    place = string.sub(places, (position - 1) * PLACE + 1, position * PLACE)
    local high, low = string.byte(place, 13, 14)
    local index = high * 256 + low
    lowest = string.sub(places, index * PLACE + 1, (index + 1) * PLACE)
end

local first, blocks = 0, {}
if #chosen > 0 then
    local size = tonumber(ARGV[12])
    first = math.floor(chosen[1] / size)
    local names = {}
    for block = first, math.floor(chosen[#chosen] / size) do names[#names + 1] = 'b' .. block end
    blocks = redis.call('HMGET', snapshot, unpack(names))
end
return {verdict, 1, session, stored[1], total, position, chosen, place, lowest, first, blocks}
