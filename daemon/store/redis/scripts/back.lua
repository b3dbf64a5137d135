-- Giving back: `amount` of what the group was charged leaves its buckets, newest first. What a
-- bucket cannot give (it has expired, or was emptied by hand) is gone. Who gives back holds the
-- difference as its own, so the answer ends with it: counter, bucket, difference, counter, ...
local differences = ''

local function tell(key, bucket, difference)
	differences = differences .. struct.pack('<ddd', key, bucket, difference)
end

local function take(w, key, bucket, amount)
	local v
	if bucket > w.m or bucket < w.m - 60 then return end
	if bucket == w.m then
		v = w.v
	else
		v = w.old and w.old[bucket] or not w.new and redis.call('HGET', w.k, bucket)
	end
	if not v or not sum_of(v) then return end
	local s, own, at = struct.unpack('<d', v), own_of(v, w.id)
	amount = math.min(amount, math.max(0, s))
	if amount == 0 then return end
	w.t = math.max(0, w.t - amount)
	write(w, bucket, value(v, s - amount, w.id, own - amount, at))
	tell(key, bucket, -amount)
end

local function take_back(w, key, g, amount)
	while amount > 0 and #g.layers > 0 do
		local bucket, held = struct.unpack('<dd', g.layers, #g.layers - 15)
		local part = math.min(amount, held)
		take(w, key, bucket, part)
		amount = amount - part
		g.layers = string.sub(g.layers, 1, -17)
		if held > part then g.layers = g.layers .. struct.pack('<dd', bucket, held - part) end
	end
end

-- All of it, settled or not; returns the most recipients given back in one counter.
local function refund_all(h, all, groups)
	local most = 0
	for i, g in ipairs(groups) do
		if g.what == 0 then most = math.max(most, g.net) end
		take_back(all[i], i, g, MAX)
		g.net, g.touched = 0, true
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
	for i = 1, keys do f[i + 1] = 'g' .. string.sub(KEYS[i + 3], BASE + 2) end
	local v = redis.pcall('HMGET', KEYS[2], unpack(f))
	if v.err then return nil, nil, {'LOST', now} end
	local h, groups, found = head_of(v[1]), {}, 0
	if (h and h.v or 0) < expected then return nil, nil, {'LOST', now} end
	if not h then return nil end
	for i = 1, keys do
		groups[i] = group_of(v[i + 1])
		if groups[i] then
			groups[i].field = f[i + 1]
			found = found + 1
		end
	end
	if found == h.groups and found == keys then return h, groups end
	if found == h.groups and keys > found then return nil, nil, {'LOST', now} end
	local every, names, at = redis.call('HGETALL', KEYS[2]), {}, {}
	for j = 1, #every, 2 do
		local g = string.sub(every[j], 1, 1) == 'g' and group_of(every[j + 1])
		if g then
			local name = string.sub(KEYS[1], 1, BASE - 1) .. 'c:' .. string.sub(every[j], 2)
			names[#names + 1], at[name] = name, g.index
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
	if #order > 1 then
		table.sort(order, function(one, other) return groups[one].index < groups[other].index end)
	end
	return order
end

local function save_all(x, h, all, groups)
	local set = {}
	for i, g in ipairs(groups) do
		if all[i] then save(all[i]) end
		if g.touched then set[#set + 1], set[#set + 2] = g.field, group_text(g) end
	end
	h.v = h.v + 1
	save_txn(x, h, set)
end

-- What is known of a service: when it settled last, and how many of its transactions in a row did not.
local function service_of(name)
	local v = redis.pcall('HGET', KEYS[3], name)
	if type(v) == 'string' and #v == 16 then return struct.unpack('<dd', v) end
end

local function keep_service(name, at, unsettled)
	redis.pcall('HSET', KEYS[3], name, struct.pack('<dd', at, unsettled))
	redis.pcall('PEXPIRE', KEYS[3], 172800000)
end
