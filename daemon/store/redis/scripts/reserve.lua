-- Checks all gates and charges, or does nothing (daemon/counting/reserve.c is the reference).
--   KEYS[2] transaction (or the fence again: none)   KEYS[3...] counters, each once
--   ARGV[4] counters, charges, recipients asked about, version of the transaction that must be there
--   (-1: no transaction), 1: only look; service, recipient (0: the message) in 8 bytes each; then the
--   counters (see load_all), then each charge: counter, what, limit, cost, warn_at, flags (1 gate, 2
--   one subject)
-- time, version, groups, refusing charge or 0, and for each charge outcome, used, retry, warn, bucket,
-- and if it was only a look free_ms, free_amount; or {'BAD', time, counter} or {'LOST', time}
local NONE, GRANTED, ALREADY, OVER = 0, 1, 2, 3
local MEMBERS, GROUPS = 4096, 1024
local keys, charges, asked, version, dry, service, recipient, p = struct.unpack('<dddddc8c8', ARGV[4])
local x, all = version >= 0 and KEYS[2] or nil
all, p = load_all(3, keys, ARGV[4], p)
if not all then return {'BAD', now, p} end

-- What the transaction knows.
local head, groups, fields, list, charged, rules
if x then
	fields, groups, rules = {'h'}, {}, {}
	for i = 1, keys do fields[i + 1] = 'g' .. string.sub(KEYS[i + 2], BASE + 2) end
	fields[keys + 2], fields[keys + 3] = 'm' .. recipient, 'r'
	local v = redis.pcall('HMGET', x, unpack(fields))
	if v.err then return {'LOST', now} end
	head = head_of(v[1])
	if (head and head.v or 0) < version then return {'LOST', now} end
	if head then
		for i = 1, keys do groups[i] = group_of(v[i + 1]) end
		list, charged = v[keys + 2], v[keys + 3]
	elseif v[1] and dry == 0 then
		redis.call('DEL', x)
	end
	list, charged = list or '', charged or ''
end

local refused, items = 0, {}
for i = 1, charges do
	local key, what, limit, cost, warn_at, flags
	key, what, limit, cost, warn_at, flags, p = struct.unpack('<dddddd', ARGV[4], p)
	local w, rule, already = all[key], nil, false
	-- What the transaction knows of the rule: when this recipient was charged by it, and when any was.
	if x then
		local name = rule_of(KEYS[key + 2])
		rule = rules[name]
		if not rule then
			local member, indexes = member_of(list, name)
			rule = {name = name, member = member, groups = indexes, touched = false, charged = false}
			rules[name], rules[#rules + 1] = rule, rule
		end
	end
	if head then
		local g, last = groups[key], -1
		if what ~= 0 then
			last = g and g.epoch or -1
		elseif recipient ~= ZERO then
			last = rule.member
		else
			last = member_of(charged, rule.name)
		end
		already = last >= head.floor
	end
	local c = {key = key, what = what, limit = limit, cost = cost, warn_at = warn_at, w = w, gate = flags % 2,
		one = flags >= 2 and 1 or 0, first = w.first, used = w.t, retry = 0, warn = 0, over = false, rule = rule,
		already = already, outcome = already and ALREADY or NONE}
	w.first, items[i] = false, c
	if not already and (cost > limit or w.t > limit - cost) then
		c.over, c.retry = true, wait_ms(w, limit, cost)
		if c.gate == 1 then
			c.outcome = OVER
			if refused == 0 then refused = i end
		end
	end
end

if dry == 1 then
	local out = struct.pack('<dddd', now, head and head.v or 0, head and head.groups or 0, refused)
	for i = 1, charges do
		local c = items[i]
		if refused == 0 and not c.already then
			if c.first then c.w.t = c.w.t + c.cost end
			c.outcome, c.used = c.over and OVER or GRANTED, c.w.t
		end
		out = out .. struct.pack('<ddddddd', c.outcome, c.used, c.retry, 0, c.w.m, next_ms(c.w))
	end
	return out
end

if refused == 0 and x and not head then
	head = {v = 0, asked = 0, settled = 0, ended = 0, epoch = 1, floor = 1, used = now, kept = 0, members = 0,
		groups = 0, service = service, changed = false}
end
if refused == 0 and head then
	head.service = service
	if asked > 0 then head.asked = asked end
	if recipient == ZERO then head.settled = 1 end
end
for i = 1, refused == 0 and charges or 0 do
	local c = items[i]
	local w, g = c.w, head and groups[c.key]
	local counts = head and c.already and c.what ~= 0 and c.one == 1
	if not c.already then
		c.outcome = c.over and OVER or GRANTED
		if c.first and c.cost > 0 then add(w, c.cost) end
		c.used = w.t
		if c.warn_at > 0 and c.used >= c.warn_at and not (w.w >= 0 and w.w <= w.m and w.m - w.w < 61) then
			w.w, w.changed, c.warn = w.m, true, 1
		end
		if head and c.first then
			if not g and head.groups < GROUPS then
				g = {index = head.groups, limit = 0, gate = 0, one = 0, what = c.what, reserved = 0, net = 0,
					recipients = 0, epoch = 0, layers = '', touched = true}
				groups[c.key], head.groups = g, head.groups + 1
			end
			if g then
				g.limit, g.gate, g.one, g.epoch, g.net = c.limit, c.gate, c.one, head.epoch, g.net + c.cost
				if c.what ~= 0 then g.reserved = c.cost else c.rule.charged = true end
				add_layer(g, w.m, c.cost)
				head.changed, g.touched = true, true
				counts = c.what == 0 or c.one == 1
			end
		elseif g and c.limit < g.limit then
			g.limit, g.touched = c.limit, true
		end
	end
	if counts then
		local rule = c.rule
		rule.touched, g.touched = true, true
		if c.what == 0 then rule.member = head.epoch end
		-- Does this recipient count in the group for the first time?
		if not has_group(rule.groups, g.index) then
			if head.members < MEMBERS then
				head.members = head.members + 1
				rule.groups = rule.groups .. struct.pack('<I2', g.index)
			end
			g.recipients = g.recipients + ((recipient ~= ZERO or c.what ~= 0) and 1 or c.cost)
			if c.what == 0 then g.reserved = g.reserved + c.cost end
		end
	end
end
for i = 1, keys do save(all[i]) end
if head then
	local set, known, before = {}, list, charged
	for i = 1, keys do
		if groups[i] and groups[i].touched then
			set[#set + 1], set[#set + 2] = fields[i + 1], group_text(groups[i])
		end
	end
	for _, r in ipairs(rules) do
		if r.touched then
			local _, _, from, past = member_of(list, r.name)
			list = string.sub(list, 1, from - 1) .. struct.pack('<BI4I2', #r.name, r.member + 1, #r.groups / 2) ..
				r.name .. r.groups .. string.sub(list, past)
		end
		if r.charged then
			local last, _, from, past = member_of(charged, r.name)
			if last ~= head.epoch then
				charged = string.sub(charged, 1, from - 1) .. struct.pack('<BI4I2', #r.name, head.epoch + 1, 0) ..
					r.name .. string.sub(charged, past)
			end
		end
	end
	if list ~= known then set[#set + 1], set[#set + 2] = fields[keys + 2], list end
	if charged ~= before then set[#set + 1], set[#set + 2] = 'r', charged end
	if head.changed then head.v = head.v + 1 end
	save_txn(x, head, set)
end
local out = struct.pack('<dddd', now, head and head.v or 0, head and head.groups or 0, refused)
for i = 1, charges do
	local c = items[i]
	out = out .. struct.pack('<ddddd', c.outcome, c.used, c.retry, c.warn, c.w.m)
end
return out
