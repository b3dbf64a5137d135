-- From what was reserved to what was accepted (daemon/counting/settle.c is the reference).
--   KEYS[2] transaction   KEYS[3] services   KEYS[4...] counters
--   ARGV[4] counters, version that must be there, 1: learn the service, recipient_count, asked (0: as
--   reserved), size, 1: END-OF-MESSAGE, 1: only look; service, recipient (0: not known) in 8 bytes each;
--   then the counters (see load_all)
-- time, version, groups, unknown, refusing counter or 0, used, limit, retry, refunded, differences; or
-- {'KEYS', time, all counters} or {'BAD', time, counter} or {'LOST', time}
local keys, version, learn, count, asked, size, ended, dry, service, recipient, p =
	struct.unpack('<ddddddddc8c8', ARGV[4])

local function answer(...)
	return struct.pack('<ddddddddd', now, ...) .. differences
end

if learn == 1 then
	local at, unsettled = service_of(service)
	if (at or redis.pcall('HLEN', KEYS[3]) ~= 256) and
		(not at or unsettled > 0 or now < at or now - at >= 3600000) then
		keep_service(service, now, 0)
	end
end
local h, groups, other = load_txn(keys, version)
if other then return other end

-- What is asserted counts as asserted, whatever we answer; else counters are asked only where less or
-- more was accepted than reserved.
local all
local function load_them()
	local at
	all, at = load_all(4, keys, ARGV[4], p)
	return not all and {'BAD', now, at}
end
local bad = asserts_any(keys, p) and load_them()
if bad then return bad end
if not h then return answer(0, 0, 1, 0, 0, 0, 0, 0) end
if ended == 1 then h.ended = 1 end
if #groups == 0 then
	if dry == 0 then save_txn(KEYS[2], h, {}) end
	return answer(h.v, 0, 1, 0, 0, 0, 0, 0)
end

local members
local function has_member(i)
	members = members or redis.call('HGET', KEYS[2], 'm' .. recipient) or ''
	local _, list = member_of(members, rule_of(KEYS[i + 3]))
	return has_group(list, groups[i].index)
end

local function target_of(i)
	local g, know = groups[i], asked > 0 and asked or h.asked
	if g.one == 1 then
		if count == 1 and recipient ~= ZERO and not has_member(i) then return 0 end
		if count > 1 and (know == 0 or know > g.recipients) then
			return g.what == 1 and 1 or g.reserved
		end
	end
	if g.what == 0 then
		return know > g.recipients and g.reserved < count and g.reserved or count
	elseif g.what == 1 then
		return count > 0 and 1 or 0
	end
	if ended == 1 and g.reserved ~= size then g.reserved, g.touched = size, true end
	return count > 0 and g.reserved or 0
end

local order, targets, moves = in_order(groups), {}, false
for _, i in ipairs(order) do
	targets[i] = target_of(i)
	moves = moves or targets[i] ~= groups[i].net
end
bad = moves and not all and load_them()
if bad then return bad end
all = all or {}
local refused, used, limit, retry, refunded = 0, 0, 0, 0, 0
for _, i in ipairs(order) do
	local g, w = groups[i], all[i]
	local more = targets[i] - g.net
	if g.gate == 1 and more > 0 and (more > g.limit or w.t > g.limit - more) then
		local wait = wait_ms(w, g.limit, more)
		if refused == 0 then refused, used, limit = i, w.t, g.limit end
		if wait < 0 or retry >= 0 and wait > retry then retry = wait end
	end
end
if dry == 1 then return answer(h.v, #groups, 0, refused, used, limit, retry, 0) end
if refused > 0 then
	refunded = refund_all(h, all, groups)
else
	for _, i in ipairs(order) do
		local g, w, target = groups[i], all[i], targets[i]
		if target > g.net then
			add(w, target - g.net)
			add_layer(g, w.m, target - g.net)
			tell(i, w.m, target - g.net)
		elseif target < g.net then
			if g.what == 0 then refunded = math.max(refunded, g.net - target) end
			take_back(w, i, g, g.net - target)
		end
		if target ~= g.net or g.epoch ~= h.epoch then
			g.net, g.epoch, g.touched = target, h.epoch, true
		end
	end
	h.floor, h.settled = 0, 1
end
save_all(KEYS[2], h, all, groups)
return answer(h.v, #groups, 0, refused, used, limit, retry, refunded)
