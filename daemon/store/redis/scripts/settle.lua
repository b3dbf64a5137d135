-- From what was reserved to what was accepted (daemon/counting/settle.c is the reference).
--   KEYS[2] transaction   KEYS[3] services   KEYS[4...] counters
--   ARGV[4] owner  [5] counters  [6] version that must be there  [7] service  [8] 1: learn it
--   [9] recipient_count  [10] asked, 0: as reserved  [11] recipient, 0: not known  [12] size
--   [13] 1: END-OF-MESSAGE  [14] 1: only look; then the counters (see load_all)
-- {'OK', time, version, groups, unknown, refusing counter or 0, used, limit, retry, refunded,
-- differences} or {'KEYS', time, all counters} or {'BAD', time, counter} or {'LOST', time}
local owner, keys, x, service = ARGV[4], tonumber(ARGV[5]), KEYS[2], ARGV[7]
local count, asked, recipient, size, ended, dry = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11],
	tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14] == '1'

if ARGV[8] == '1' then
	local at, unsettled = service_of(service)
	if (at or redis.pcall('HLEN', KEYS[3]) ~= 256) and
		(not at or unsettled > 0 or now < at or now - at >= 3600000) then
		keep_service(service, now, 0)
	end
end
local h, groups, other = load_txn(keys, tonumber(ARGV[6]))
if other then return other end
if not h then return {'OK', now, 0, 0, 1, 0, 0, 0, 0, 0} end
if ended == 1 then h.ended = 1 end
if #groups == 0 then
	if not dry then save_txn(x, h, {}) end
	return {'OK', now, h.v, 0, 1, 0, 0, 0, 0, 0}
end
local all, at = load_all(4, keys, 15, owner)
if not all then return {'BAD', now, at} end
local order = in_order(groups)

local function has_member(i)
	local v = call('HGET', x, 'm' .. recipient .. rule_of(KEYS[i + 3]))
	local list = v and match(v, ';(.*)$') or ''
	return find(',' .. list .. ',', ',' .. format('%.0f', groups[i].index) .. ',', 1, true)
end

local function target_of(i)
	local g, know = groups[i], asked > 0 and asked or h.asked
	if g.one == 1 then
		if count == 1 and recipient ~= '0' and not has_member(i) then return 0 end
		if count > 1 and (know == 0 or know > g.recipients) then
			return g.what == 1 and 1 or g.reserved
		end
	end
	if g.what == 0 then
		return know > g.recipients and g.reserved < count and g.reserved or count
	elseif g.what == 1 then
		return count > 0 and 1 or 0
	end
	if ended == 1 then g.reserved = size end
	return count > 0 and g.reserved or 0
end

local refused, used, limit, retry, refunded, targets = 0, 0, 0, 0, 0, {}
for _, i in ipairs(order) do
	local g, w = groups[i], all[i]
	targets[i] = target_of(i)
	local more = max(0, targets[i] - g.net)
	if g.gate == 1 and more > 0 and (more > g.limit or w.t > g.limit - more) then
		local wait = wait_ms(w, g.limit, more)
		if refused == 0 then refused, used, limit = i, w.t, g.limit end
		if wait < 0 or retry >= 0 and wait > retry then retry = wait end
	end
end
if dry then return {'OK', now, h.v, #groups, 0, refused, used, limit, retry, 0} end
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
			if g.what == 0 then refunded = max(refunded, g.net - target) end
			take_back(w, i, g, g.net - target)
		end
		g.net = target
		g.epoch = h.epoch
	end
	h.floor, h.settled = 0, 1
end
save_all(x, h, all, groups)
return with_deltas({'OK', now, h.v, #groups, 0, refused, used, limit, retry, refunded})
