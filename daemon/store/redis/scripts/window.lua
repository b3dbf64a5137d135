-- Counters. A hash: c, of the newest bucket, and the older live buckets by their numbers. A bucket's
-- value is a sum and then owner (12 bytes) and own value of each that has a part in it; c is number
-- of the newest bucket, total, bucket of the last warning (-1: none), and that bucket's value. All
-- numbers are doubles of 8 bytes, lowest first. A sum is the sum of what its owners hold; one below 0
-- (a refund whose charge has yet to be asserted) counts as 0 in the total. A window is loaded into a
-- table: k key, b length of a bucket, m, t, w, v as in c, id our owner, old values of older buckets;
-- set and gone are what save() is to write. Whatever cannot be ours makes load() give nil, and
-- nothing is touched.
-- Few functions, and few locals of others in them: each call of a script makes them anew.
local MAX, ZERO = 9007199254740991, '\0\0\0\0\0\0\0\0'

local function sum_of(v)
	if #v < 8 or (#v - 8) % 20 ~= 0 then return nil end
	local s = struct.unpack('<d', v)
	return s >= -9007199254740991 and s <= 9007199254740991 and s % 1 == 0 and s or nil
end

-- What `id` holds of a value, and where that stands.
local function own_of(v, id)
	local at = string.find(v, id, 9, true)
	while at and at % 20 ~= 9 do at = string.find(v, id, at + 1, true) end
	if not at then return 0 end
	local own = struct.unpack('<d', v, at + 12)
	return own % 1 == 0 and own or 0, at
end

-- The value with another sum and another own part, which stood `at`.
local function value(v, s, id, own, at)
	local rest = not at and string.sub(v, 9) or
		#v > 28 and string.sub(v, 9, at - 1) .. string.sub(v, at + 20) or ''
	if own == 0 then return struct.pack('<d', s) .. rest end
	return struct.pack('<dc12d', s, id, own) .. rest
end

local function write(w, bucket, v)
	w.changed = true
	if bucket == w.m then
		if #w.v == 8 then w.fresh = true end
		w.v = v
		return
	end
	local set = w.set or {}
	set[#set + 1], set[#set + 2] = bucket, v
	w.set, w.old = set, w.old or {}
	w.old[bucket] = v
end

-- The bucket `last`, of the value v, is no longer the newest: those that have left since go.
local function roll(w, last, v)
	local gone, t = {}, 0
	if w.m - last > 10 then
		local h = redis.call('HGETALL', w.k)
		for j = 1, #h, 2 do
			local x = tonumber(h[j])
			if x then
				local s = sum_of(h[j + 1])
				if not s then return nil end
				if x < w.m - 60 then gone[#gone + 1] = h[j] elseif x < last then t = t + math.max(0, s) end
			end
		end
		if #gone > 61 then return nil end
		w.t = t + math.max(0, (struct.unpack('<d', v)))
	else
		local f = {}
		for x = last - 60, w.m - 61 do f[#f + 1] = x end
		local values = redis.call('HMGET', w.k, unpack(f))
		for j = 1, #f do
			if values[j] then
				local s = sum_of(values[j])
				if not s then return nil end
				t = t + math.max(0, s)
				gone[#gone + 1] = f[j]
			end
		end
		w.t = math.max(0, w.t - t)
	end
	if gone[1] then w.gone = gone end
	write(w, last, v)
	return w
end

local function load(k, b, id)
	local m, c = math.floor(now / b), redis.pcall('HGET', k, 'c')
	local w = {k = k, b = b, m = m, t = 0, w = -1, v = ZERO, id = id, new = true, changed = false, first = true}
	if not c then return w end
	if type(c) ~= 'string' or #c < 32 or (#c - 32) % 20 ~= 0 then return nil end
	local last, t, warned, s = struct.unpack('<dddd', c)
	if not (last >= 0 and last < MAX and t >= 0 and t <= MAX and s >= -MAX and s <= MAX) or
		(last + t + s) % 1 ~= 0 then
		return nil
	end
	if m - last > 60 or last - m > 60 then
		w.over = true
		return w
	end
	w.t, w.w, w.new = t, warned, nil
	if last < m then return roll(w, last, string.sub(c, 25)) end
	w.m, w.v = last, string.sub(c, 25)       -- where our clock is behind: into the newest
	return w
end

local function save(w)
	if not w.changed then return end
	local c = struct.pack('<ddd', w.m, w.t, w.w) .. w.v
	if w.over then redis.call('DEL', w.k) end
	if w.gone then redis.call('HDEL', w.k, unpack(w.gone)) end
	if w.set then
		redis.call('HSET', w.k, 'c', c, unpack(w.set))
	else
		redis.call('HSET', w.k, 'c', c)
	end
	if w.new or w.fresh then
		redis.call('PEXPIRE', w.k, math.max(1, (w.m + 61) * w.b - now) + 60000)
	end
	w.changed, w.over, w.gone, w.set, w.new, w.fresh = false, nil, nil, nil, nil, nil
end

-- Into the newest bucket, for ourselves.
local function add(w, amount)
	local v, id = w.v, w.id
	w.changed = true
	if v == ZERO then
		w.fresh, w.t, w.v = true, w.t + amount, struct.pack('<dc12d', amount, id, amount)
		return
	end
	local s, own, at = struct.unpack('<d', v), own_of(v, id)
	w.t = w.t + (s >= 0 and amount or math.max(0, s + amount))
	w.v = value(v, s + amount, id, own + amount, at)
end

-- All live buckets, by their numbers; nil: one cannot be ours.
local function scan(w)
	local have = {}
	if not w.new then
		local h = redis.call('HGETALL', w.k)
		for j = 1, #h, 2 do
			local x = tonumber(h[j])
			if x and x < w.m and x >= w.m - 60 then
				if not sum_of(h[j + 1]) then return nil end
				have[x] = h[j + 1]
			end
		end
	end
	for x, v in pairs(w.old or {}) do have[x] = v end
	have[w.m] = w.v
	return have
end

-- This owner's values in all buckets become what stands in `text` from p on (bucket, own), n times;
-- where nothing is said: 0.
local function assert_own(w, text, p, n)
	local have, want, t = scan(w), {}, 0
	if not have then return nil end
	for x, v in pairs(have) do
		local _, at = own_of(v, w.id)
		if at then want[x] = 0 end
	end
	for _ = 1, n do
		local x, own
		x, own, p = struct.unpack('<dd', text, p)
		x = math.min(x, w.m)
		if x >= w.m - 60 then want[x] = (want[x] or 0) + own end
	end
	for x, own in pairs(want) do
		local v = have[x] or ZERO
		local old, at = own_of(v, w.id)
		have[x] = value(v, struct.unpack('<d', v) + own - old, w.id, own, at)
		write(w, x, have[x])
	end
	for _, v in pairs(have) do t = t + math.max(0, (struct.unpack('<d', v))) end
	w.t = t
	save(w)
	return w
end

-- The counters of a request: KEYS[first] on, with what stands in `text` from p on: length of a bucket,
-- owner, and how many values are asserted (-1: none is), those. nil and a number: that one cannot be
-- used.
local function load_all(first, n, text, p)
	local all = {}
	for i = 1, n do
		local b, id, said
		b, id, said, p = struct.unpack('<dc12d', text, p)
		local w = load(KEYS[first + i - 1], b, id)
		if w and said >= 0 then
			w = assert_own(w, text, p, said)
			p = p + 16 * said
		end
		if not w then return nil, i end
		all[i] = w
	end
	return all, p
end

-- Is a value asserted of one of the n counters that ARGV[4] ends with, from p on?
local function asserts_any(n, p)
	return #ARGV[4] - p + 1 ~= 28 * n
end
