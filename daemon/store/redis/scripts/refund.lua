-- All that a transaction charged goes back: always, or if it was never settled though its service
-- settles.
--   KEYS[2] transaction   KEYS[3] services   KEYS[4...] counters
--   ARGV[4] owner  [5] counters  [6] version that must be there  [7] refund, abandon, or idle (as
--   abandon, if unused for ten minutes)  [8] auto, data or none: what settles; then the counters
-- {'OK', time, version, groups, refunded, differences}, or as settle.lua
local owner, keys, x, kind, mode = ARGV[4], tonumber(ARGV[5]), KEYS[2], ARGV[7], ARGV[8]
local h, groups, other = load_txn(keys, tonumber(ARGV[6]))
if other then return other end
if not h then return {'OK', now, 0, 0, 0} end

local function settles()
	local at, unsettled = service_of(h.service)
	if mode ~= 'auto' then return mode == 'data' end
	return at and unsettled < 1000 and (now < at or now - at < 86400000)
end

local charged = false
for _, g in ipairs(groups) do charged = charged or g.epoch >= h.floor end
if kind ~= 'refund' and (h.settled == 1 or not charged or not settles() or
	kind == 'idle' and now - h.used < 600000) then
	return {'OK', now, h.v, #groups, 0}
end
local all, at = load_all(4, keys, 9, owner)
if not all then return {'BAD', now, at} end
local used = h.used
local refunded = refund_all(h, all, groups)
save_all(x, h, all, groups)
if kind ~= 'refund' and mode == 'auto' then
	local last, unsettled = service_of(h.service)
	if last then keep_service(h.service, last, min(1000, unsettled + 1)) end
end
return with_deltas({'OK', now, h.v, #groups, refunded})
