-- All that a transaction charged goes back: always, or if it was never settled though its service
-- settles.
--   KEYS[2] transaction   KEYS[3] services   KEYS[4...] counters
--   ARGV[4] counters, version that must be there, 0: refund, 1: abandon, 2: idle (as abandon, if unused
--   for ten minutes), what settles: 0 auto, 1 DATA, 2 nothing, 3: auto, and the node has seen this
--   service settle, should it have been forgotten here; number of this giving back, if the node must
--   hear what it took even if it comes again because the answer was lost (0: not); then the counters
--   (see load_all)
-- time, version, groups, refunded, differences; or as settle.lua
local keys, version, kind, mode, give, p = struct.unpack('<ddddd', ARGV[4])
local h, groups, other = load_txn(keys, version)
if other then return other end
if not h then return struct.pack('<dddd', now, 0, 0, 0) end

-- Before anything is decided: what is asserted counts as asserted, whatever we answer.
local all, at = load_all(4, keys, ARGV[4], p)
if not all then return {'BAD', now, at} end

local given = 'b' .. string.match(ARGV[1], '^[^.]*') .. struct.pack('<d', give)
local told = give > 0 and redis.call('HGET', KEYS[2], given)
if told then return struct.pack('<dddd', now, h.v, #groups, 0) .. told end

local function settles()
	local at, unsettled = service_of(h.service)
	if mode == 1 or mode == 2 then return mode == 1 end
	if not at then return mode == 3 end
	return unsettled < 1000 and (now < at or now - at < 86400000)
end

local charged = false
for _, g in ipairs(groups) do charged = charged or g.epoch >= h.floor end
if kind ~= 0 and (h.settled == 1 or not charged or not settles() or
	kind == 2 and now - h.used < 600000) then
	return struct.pack('<dddd', now, h.v, #groups, 0)
end
local refunded = refund_all(h, all, groups)
if give > 0 then redis.call('HSET', KEYS[2], given, differences) end
save_all(KEYS[2], h, all, groups)
if kind ~= 0 and (mode == 0 or mode == 3) then
	local last, unsettled = service_of(h.service)
	if last then keep_service(h.service, last, math.min(1000, unsettled + 1)) end
end
return struct.pack('<dddd', now, h.v, #groups, refunded) .. differences
