-- One page in one round trip: charges the viewer (`charge` of limits.lua stands above), finds the
-- snapshot, leaves out what was seen, hidden or deleted since it was made, and keeps alive what the
-- walk needs.
--
-- KEYS  1 limit, 2 head, 3 snapshot and 4 shown (of a cursor), 5 lock, 6 seen today, 7 yesterday,
--       8 touched, 9 hidden users, 10 deleted items
-- ARGV  1 requests per window (0: charge nothing), 2 'head', 'any head' or 'cursor', 3 position,
--       4 items, 5 oldest head ms, 6 oldest release ms, 7 key prefix, 8 lock token ('' for none),
--       9 field of the viewer's mark and 10 of its position ('' when no touch matters),
--       11 'hit' to be told nothing, and charged nothing, unless the page is all that is asked for:
--       found, with something behind it, of a viewer within the limit whose last write was ranked
-- store.py writes the constants in front: WINDOW_MS, TTL, SPARE, LOCK_MS, BLOCK_ITEMS, BITS, HASHES, PLACE.
--
-- Found     {verdict, 1, mark, its position, session, meta, total, next position, chosen places
--            (0: all before the next position), place, lowest place, first block, blocks, position
--            the head was ranked at, position that what ranks was made of, large posts it was checked
--            for}
-- Not found {verdict, 0, mark, its position, 1 when this caller shall rank, seen today, seen
--            yesterday, hidden users and scores}
-- Refused   {verdict}
-- No hit    {}
--
-- Ids never become numbers here: Lua has doubles only. Places are 30 bytes, see snapshot.py.
local verdict = {1, 0, 0, 0}
local limit = tonumber(ARGV[1])
local wants_hit = ARGV[11] == 'hit'
if limit > 0 and not wants_hit then
    verdict = charge(KEYS[1], limit, WINDOW_MS)
    if verdict[1] == 0 then return {verdict} end
end

local seen = {redis.call('GET', KEYS[6]) or '', redis.call('GET', KEYS[7]) or ''}
local are_hidden = redis.call('EXISTS', KEYS[9]) == 1
local are_deleted = redis.call('EXISTS', KEYS[10]) == 1
local mark, wanted_position = '', '0'
if ARGV[9] ~= '' then
    local touched = redis.call('HMGET', KEYS[8], ARGV[9], ARGV[10])
    mark, wanted_position = touched[1] or '', touched[2] or '0'
end

local snapshot, shown, session = KEYS[3], KEYS[4], ''
local ranked_position, refreshed_position, checked = '0', '0', ''
if ARGV[2] ~= 'cursor' then
    local head = redis.call(
        'HMGET', KEYS[2], 'session', 'made_ms', 'release_ms', 'mark', 'position', 'refreshed', 'checked'
    )
    if head[1] and tonumber(head[2]) >= tonumber(ARGV[5])
        and tonumber(head[3]) >= tonumber(ARGV[6])
        and (ARGV[2] == 'any head' or head[4] == mark) then
        session = head[1]
        -- A release before this one may have written fewer fields.
        ranked_position, refreshed_position = head[5] or '0', head[6] or '0'
        checked = head[7] or ''
        snapshot = ARGV[7] .. 'snapshot:' .. session .. ':0'
        shown = ARGV[7] .. 'shown:' .. session
    else
        snapshot = nil
    end
end

local stored = snapshot and redis.call('HMGET', snapshot, 'meta', 'places') or {}
if not stored[2] then
    if wants_hit then return {} end
    local shall_rank = 1
    -- Whoever ranks under another mark may have begun before a write: nobody waits for them.
    local lock = KEYS[5] .. mark
    if ARGV[8] ~= '' and not redis.call('SET', lock, ARGV[8], 'NX', 'PX', LOCK_MS) then
        shall_rank = redis.call('GET', lock) == ARGV[8] and 1 or 0
    end
    local hidden = are_hidden and redis.call('ZRANGE', KEYS[9], 0, -1, 'WITHSCORES') or {}
    return {verdict, 0, mark, wanted_position, shall_rank, seen[1], seen[2], hidden}
end

local places = stored[2]
local total = #places / PLACE

local function is_in(bitmap, start, step)
    for i = 0, HASHES - 1 do
        local place = (start + i * step) % BITS
        local byte = string.byte(bitmap, math.floor(place / 8) + 1)
        if not byte or bit.band(byte, bit.rshift(128, place % 8)) == 0 then return false end
    end
    return true
end

local position, wanted = tonumber(ARGV[3]), tonumber(ARGV[4])

-- Which of the next places are of deleted items, and up to which one this is known: a page's worth
-- is looked up at once, and the next only where the page is not full by then.
local deleted, known = {}, position
local function look_up_deleted()
    local first, last = known, math.min(known + wanted, total) - 1
    known = last + 1
    if not are_deleted or last < first then return end
    local ids = {}
    for index = first, last do
        ids[#ids + 1] = string.sub(places, index * PLACE + 1, index * PLACE + 8)
    end
    for i, score in ipairs(redis.call('ZMSCORE', KEYS[10], unpack(ids))) do
        if score then deleted[first + i - 1] = true end
    end
end
look_up_deleted()

local function is_excluded(index)
    if index == known then look_up_deleted() end
    if deleted[index] then return true end
    local at = index * PLACE
    local a, b, c, d = string.byte(places, at + 19, at + 22)
    local start, step = a * 256 + b, c * 256 + d
    if is_in(seen[1], start, step) or is_in(seen[2], start, step) then return true end
    local score = are_hidden
        and redis.call('ZSCORE', KEYS[9], string.sub(places, at + 23, at + 30))
    return score and tonumber(score) % 2 == 1
end

local chosen, from, to = 0, position, position - 1
if seen[1] == '' and seen[2] == '' and not are_hidden and next(deleted) == nil then
    position = math.max(position, math.min(position + wanted, total))
    to = position - 1
else
    chosen = {}
    while position < total and #chosen < wanted do
        if not is_excluded(position) then chosen[#chosen + 1] = position end
        position = position + 1
    end
    if #chosen > 0 then from, to = chosen[1], chosen[#chosen] end
end

if wants_hit then
    if position >= total
        or (session ~= '' and tonumber(ranked_position) < tonumber(wanted_position)) then
        return {}
    end
    verdict = charge(KEYS[1], limit, WINDOW_MS)
    if verdict[1] == 0 then return {} end
end

for _, key in ipairs({snapshot, shown}) do
    -- A little longer than it has to be: or every page of a walk would set it again.
    if redis.call('TTL', key) < TTL then redis.call('EXPIRE', key, TTL + SPARE) end
end

local place, lowest = '', ''
if position > 0 and position <= total then
    place = string.sub(places, (position - 1) * PLACE + 1, position * PLACE)
    local high, low = string.byte(place, 13, 14)
    local index = high * 256 + low
    lowest = string.sub(places, index * PLACE + 1, (index + 1) * PLACE)
end

local first, blocks = 0, {}
if from <= to then
    first = math.floor(from / BLOCK_ITEMS)
    local names = {}
    for block = first, math.floor(to / BLOCK_ITEMS) do names[#names + 1] = 'b' .. block end
    blocks = redis.call('HMGET', snapshot, unpack(names))
end
return {
    verdict, 1, mark, wanted_position, session, stored[1], total, position, chosen, place, lowest,
    first, blocks, ranked_position, refreshed_position, checked
}
