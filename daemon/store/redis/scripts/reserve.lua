-- Checks all gates and charges, or does nothing (daemon/counting/reserve.c is the reference).
--   KEYS[2] transaction (or the fence again: none)   KEYS[3...] counters, each once
--   ARGV[4] owner  [5] counters  [6] charges  [7] service  [8] recipient, 0: the message
--   [9] recipients asked about  [10] version of the transaction that must be there, -1: no
--   transaction  [11] 1: only look; then the counters (see load_all), then each charge: counter, what,
--   limit, cost, warn_at, flags (1 gate, 2 one subject)
-- {'OK', time, version, groups, refusing charge or 0, and for each charge outcome, used, retry,
-- warn, bucket, and if it was only a look free_ms, free_amount} or {'BAD', time, counter} or {'LOST', time}
local NONE, GRANTED, ALREADY, OVER = 0, 1, 2, 3
local owner, keys, charges, recipient = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[8]
local x, dry = ARGV[10] ~= '-1' and KEYS[2] or nil, ARGV[11] == '1'
local all, a = load_all(3, keys, 12, owner)
if not all then return {'BAD', now, a} end

local items = {}
for i = 1, charges do
	local c, flags = {}, tonumber(ARGV[a + 5])
	c.key, c.what, c.limit, c.cost, c.warn_at = tonumber(ARGV[a]), tonumber(ARGV[a + 1]),
		tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
	c.w, c.gate, c.one = all[c.key], flags % 2, floor(flags / 2)
	c.first = not c.w.first and true
	c.w.first = true
	items[i] = c
	a = a + 6
end

-- What the transaction knows: groups by counter, members and last charges by rule.
local head, groups, rules, order = nil, {}, {}, {}
if x then
	local f = {'h'}
	for i = 1, keys do f[i + 1] = 'g' .. KEYS[i + 2] end
	for i = 1, charges do
		local name = rule_of(KEYS[items[i].key + 2])
		if not rules[name] then
			rules[name] = {name = name, at = #f + 1}
			order[#order + 1] = rules[name]
			f[#f + 1] = 'm' .. recipient .. name
			f[#f + 1] = 'r' .. name
		end
		items[i].rule = rules[name]
	end
	local v = redis.pcall('HMGET', x, unpack(f))
	if v.err then return {'LOST', now} end
	head = head_of(v[1])
	if (head and head.v or 0) < tonumber(ARGV[10]) then return {'LOST', now} end
	if head then
		for i = 1, keys do groups[i] = group_of(v[i + 1]) end
	elseif v[1] and not dry then
		call('DEL', x)
	end
	for _, r in ipairs(order) do
		local epoch, list = match(head and v[r.at] or '', '^(%-?%d+);(.*)$')
		r.member, r.list = tonumber(epoch or -1), list or ''
		r.charged = tonumber(head and number(v[r.at + 1]) or -1)
	end
end

local function charged_before(c)
	if not head then return false end
	if c.what ~= 0 then return groups[c.key] and groups[c.key].epoch >= head.floor or false end
	if recipient == '0' then return c.rule.charged >= head.floor end
	return c.rule.member >= head.floor
end

local refused = 0
for i = 1, charges do
	local c = items[i]
	c.already, c.used, c.retry, c.warn, c.outcome = charged_before(c), c.w.t, 0, 0, NONE
	if c.already then
		c.outcome = ALREADY
	elseif c.cost > c.limit or c.w.t > c.limit - c.cost then
		c.over, c.retry = true, wait_ms(c.w, c.limit, c.cost)
		if c.gate == 1 then
			c.outcome = OVER
			if refused == 0 then refused = i end
		end
	end
end

if dry then
	local out = {'OK', now, head and head.v or 0, head and head.groups or 0, refused}
	for i = 1, charges do
		local c, n = items[i], #out
		if refused == 0 and not c.already then
			if c.first then c.w.t = c.w.t + c.cost end
			c.outcome, c.used = c.over and OVER or GRANTED, c.w.t
		end
		out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5] = c.outcome, c.used, c.retry, 0, c.w.m
		out[n + 6], out[n + 7] = next_ms(c.w)
	end
	return out
end

local set = {}

-- Does this recipient count in the group for the first time?
local function note_member(c, g)
	local r, here = c.rule, ',' .. format('%.0f', g.index) .. ','
	r.touched = true
	if c.what == 0 then r.member = head.epoch end
	if find(',' .. r.list .. ',', here, 1, true) then return false end
	if head.members < MEMBERS then
		head.members = head.members + 1
		r.list = r.list == '' and format('%.0f', g.index) or r.list .. here:sub(1, -2)
	end
	return true
end

local function count_recipients(c, g)
	if c.what ~= 0 and c.one == 0 then return end
	if not note_member(c, g) then return end
	g.recipients = g.recipients + ((recipient ~= '0' or c.what ~= 0) and 1 or c.cost)
	if c.what == 0 then g.reserved = g.reserved + c.cost end
end

local function remember(c)
	local g = groups[c.key]
	if not g then
		if head.groups >= GROUPS then return end
		g = {index = head.groups, bucket_ms = c.w.b, what = c.what, reserved = 0, net = 0,
			recipients = 0, layers = {}}
		groups[c.key] = g
		head.groups = head.groups + 1
	end
	g.limit, g.gate, g.one, g.epoch, g.net = c.limit, c.gate, c.one, head.epoch, g.net + c.cost
	if c.what ~= 0 then
		g.reserved = c.cost
	else
		c.rule.charged, c.rule.newly = head.epoch, true
	end
	count_recipients(c, g)
	add_layer(g, c.w.m, c.cost)
	g.touched, head.changed = true, true
end

local function charge(c)
	local w = c.w
	c.outcome = c.over and OVER or GRANTED
	if c.first and c.cost > 0 then add(w, c.cost) end
	c.used = w.t
	if c.warn_at > 0 and c.used >= c.warn_at and not (w.w and w.w <= w.m and w.m - w.w < 61) then
		w.w, c.warn = w.m, 1
		w.set[#w.set + 1] = 'w'
		w.set[#w.set + 1] = w.m
	end
	if not head then return end
	if c.first then
		remember(c)
	elseif groups[c.key] and c.limit < groups[c.key].limit then
		groups[c.key].limit, groups[c.key].touched = c.limit, true
	end
end

if refused == 0 and x and not head then head = new_head(ARGV[7]) end
if refused == 0 then
	local asked = tonumber(ARGV[9])
	if head then
		head.service = ARGV[7]
		if asked > 0 then head.asked = asked end
		if recipient == '0' then head.settled = 1 end
	end
	for i = 1, charges do
		local c = items[i]
		if not c.already then
			charge(c)
		elseif c.what ~= 0 and c.one == 1 then
			count_recipients(c, groups[c.key])
			groups[c.key].touched = true
		end
	end
end
for i = 1, keys do save(all[i]) end
if head then
	for i = 1, keys do
		if groups[i] and groups[i].touched then
			set[#set + 1] = 'g' .. KEYS[i + 2]
			set[#set + 1] = group_text(groups[i])
		end
	end
	for _, r in ipairs(order) do
		if r.touched then
			set[#set + 1] = 'm' .. recipient .. r.name
			set[#set + 1] = format('%.0f;%s', r.member, r.list)
		end
		if r.newly then
			set[#set + 1] = 'r' .. r.name
			set[#set + 1] = r.charged
		end
	end
	if head.changed then head.v = head.v + 1 end
	save_txn(x, head, set)
end
local out = {'OK', now, head and head.v or 0, head and head.groups or 0, refused}
for i = 1, charges do
	local c = items[i]
	out[#out + 1], out[#out + 2], out[#out + 3], out[#out + 4], out[#out + 5] =
		c.outcome, c.used, c.retry, c.warn, c.w.m
end
return out
