-- Giving back: `amount` of what the group was charged leaves its buckets, newest first. What a
-- bucket cannot give (it has expired, or was emptied by hand) is gone. Who gives back holds the
-- difference as its own, so the answer tells it: counter, bucket, difference, counter, ...
local deltas = {}

local function tell(key, bucket, delta)
	local n = #deltas
	deltas[n + 1], deltas[n + 2], deltas[n + 3] = key, bucket, delta
end

local function with_deltas(out)
	local n = #out
	for i = 1, #deltas do out[n + i] = deltas[i] end
	return out
end

local function take(w, key, bucket, amount)
	local v
	if bucket > w.m or bucket < w.m - 60 then return end
	if bucket == w.m then v = w.v else v = w.old and w.old[bucket] or call('HGET', w.k, bucket) end
	if not v or not sum_of(v) then return end
	local s, own, rest = parts(v, w.id)
	amount = min(amount, max(0, s))
	if amount == 0 then return end
	w.t = max(0, w.t - amount)
	v = value(s - amount, w.id, own - amount, rest)
	write(w, bucket, v)
	w.old = w.old or {}
	w.old[bucket] = v
	tell(key, bucket, -amount)
end

local function take_back(w, key, g, amount)
	while amount > 0 and #g.layers > 0 do
		local layer = g.layers[#g.layers]
		local part = min(amount, layer[2])
		take(w, key, layer[1], part)
		amount = amount - part
		layer[2] = layer[2] - part
		if layer[2] == 0 then g.layers[#g.layers] = nil end
	end
end

-- All of it, settled or not; returns the most recipients given back in one counter.
local function refund_all(h, all, groups)
	local most = 0
	for i, g in ipairs(groups) do
		if g.what == 0 then most = max(most, g.net) end
		take_back(all[i], i, g, MAX)
		g.net = 0
	end
	h.epoch = h.epoch + 1
	h.floor = h.epoch
	h.settled = 0
	return most
end

-- The transaction KEYS[2], and its groups at the counters KEYS[4...]. Where it has groups at other
-- counters too, an answer that names them.
local function load_txn(keys, expected)
	local f = {'h'}
	for i = 1, keys do f[i + 1] = 'g' .. KEYS[i + 3] end
	local v = redis.pcall('HMGET', KEYS[2], unpack(f))
	if v.err then return nil, nil, {'LOST', now} end
	local h, groups, found = head_of(v[1]), {}, 0
	if (h and h.v or 0) < expected then return nil, nil, {'LOST', now} end
	if not h then return nil end
	for i = 1, keys do
		groups[i] = group_of(v[i + 1])
		if groups[i] then found = found + 1 end
	end
	if found == h.groups and found == keys then return h, groups end
	if found == h.groups and keys > found then return nil, nil, {'LOST', now} end
	local every, names, at = call('HGETALL', KEYS[2]), {}, {}
	for j = 1, #every, 2 do
		local g = every[j]:sub(1, 1) == 'g' and group_of(every[j + 1])
		if g then
			names[#names + 1] = every[j]:sub(2)
			at[names[#names]] = g.index
		end
	end
	if #names ~= h.groups or #names == found then return nil, nil, {'LOST', now} end
	table.sort(names, function(one, other) return at[one] < at[other] end)
	return nil, nil, {'KEYS', now, unpack(names)}
end

-- In the order in which they were first charged.
local function in_order(groups)
	local order = {}
	for i = 1, #groups do order[i] = i end
	table.sort(order, function(one, other) return groups[one].index < groups[other].index end)
	return order
end

local function save_all(x, h, all, groups)
	local set = {}
	for i, g in ipairs(groups) do
		save(all[i])
		set[#set + 1] = 'g' .. KEYS[i + 3]
		set[#set + 1] = group_text(g)
	end
	h.v = h.v + 1
	save_txn(x, h, set)
end

-- What is known of a service: when it settled last, and how many of its transactions in a row did not.
local function service_of(name)
	local v = redis.pcall('HGET', KEYS[3], name)
	local at, unsettled = match(type(v) == 'string' and v or '', '^(%d+);(%d+)$')
	return tonumber(at), tonumber(unsettled)
end

local function keep_service(name, at, unsettled)
	redis.pcall('HSET', KEYS[3], name, format('%.0f;%.0f', at, unsettled))
	redis.pcall('PEXPIRE', KEYS[3], 172800000)
end
