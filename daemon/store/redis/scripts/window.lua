-- Counters. A hash: m newest bucket, t total, w bucket of the last warning, and for each live bucket
-- its number: "sum;owner=own;owner=own". A sum is the sum of what its owners hold; one below 0 (a
-- refund whose charge has yet to be asserted) counts as 0 in the total. A window is loaded into a
-- table: k key, b length of a bucket, m, t, w, v the newest bucket's value, id our owner, set what
-- is to be written. Whatever cannot be ours makes load() give nil, and nothing is touched.
local call, find, match, format, floor, max, min =
	redis.call, string.find, string.match, string.format, math.floor, math.max, math.min
local MAX = 9007199254740991

local function number(s)
	return s and #s <= 17 and match(s, '^%-?%d+$') and tonumber(s)
end

local function sum_of(v)
	return number(match(v, '^[^;]*'))
end

local function over(w)
	call('DEL', w.k)
	w.t, w.w, w.v, w.new = 0, nil, nil, true
	return w
end

-- The buckets that have left since `last`.
local function roll(w, last)
	local f, gone, n, g = {}, {}, 0, 0
	for x = last - 60, w.m - 61 do
		n = n + 1
		f[n] = x
	end
	local v = call('HMGET', w.k, unpack(f))
	for j = 1, n do
		if v[j] then
			local s = sum_of(v[j])
			if not s then return nil end
			w.t = w.t - max(0, s)
			g = g + 1
			gone[g] = f[j]
		end
	end
	if g > 0 then call('HDEL', w.k, unpack(gone)) end
	w.t = max(0, w.t)
	call('HSET', w.k, 'm', w.m, 't', w.t)
	return w
end

local function load(k, b, id)
	local m = floor(now / b)
	local h = redis.pcall('HMGET', k, 'm', 't', 'w', m)
	if h.err then return nil end
	local w = {k = k, b = b, m = m, t = 0, id = id, set = {}}
	if not h[1] then
		w.new = true
		return w
	end
	local last, t = number(h[1]), number(h[2])
	if not last or last < 0 or not t or t < 0 or t > MAX then return nil end
	w.t, w.w = t, number(h[3])
	if last < m then
		return m - last > 60 and over(w) or roll(w, last)
	elseif last - m > 60 then
		return over(w)
	elseif last > m then             -- our clock is behind: into the newest
		w.m = last
		h[4] = call('HGET', k, last)
	end
	w.v = h[4] or nil
	if w.v and not sum_of(w.v) then return nil end
	return w
end

local function value(s, id, own, rest)
	if own == 0 then return format('%.0f%s', s, rest) end
	return format('%.0f;%s=%.0f%s', s, id, own, rest)
end

-- Of a bucket's value: sum, own, and the others.
local function parts(v, id)
	local s, rest = match(v, '^(%-?%d+)(.*)$')
	local x, y, own = find(rest, ';' .. id .. '=(%-?%d+)')
	if not x then return tonumber(s), 0, rest end
	return tonumber(s), tonumber(own), rest:sub(1, x - 1) .. rest:sub(y + 1)
end

local function write(w, bucket, v)
	local set = w.set
	if bucket == w.m then
		if not w.v then w.fresh = true end
		w.v = v
	end
	set[#set + 1] = bucket
	set[#set + 1] = v
end

local function save(w)
	if #w.set == 0 then return end
	call('HSET', w.k, 'm', w.m, 't', w.t, unpack(w.set))
	if w.new or w.fresh then
		call('PEXPIRE', w.k, max(1, (w.m + 61) * w.b - now) + 60000)
	end
	w.set, w.new, w.fresh = {}, nil, nil
end

-- Into the newest bucket, for ourselves.
local function add(w, amount)
	local s, own, rest = 0, 0, ''
	if w.v then s, own, rest = parts(w.v, w.id) end
	w.t = w.t + max(0, s + amount) - max(0, s)
	write(w, w.m, value(s + amount, w.id, own + amount, rest))
end

-- This owner's values in all buckets become what ARGV[a], ARGV[a + 1], ... say (bucket, own), n
-- times; where nothing is said: 0.
local function assert_own(k, b, id, a, n)
	local w = load(k, b, id)
	if not w then return nil end
	local h, have, want, t = call('HGETALL', k), {}, {}, 0
	local mark = ';' .. id .. '='
	for j = 1, #h, 2 do
		local x = number(h[j])
		if x and x <= w.m and x >= w.m - 60 then
			if not sum_of(h[j + 1]) then return nil end
			have[x] = h[j + 1]
			if find(h[j + 1], mark, 1, true) then want[x] = 0 end
		end
	end
	for j = a, a + 2 * n - 1, 2 do
		local x = min(tonumber(ARGV[j]), w.m)
		if x >= w.m - 60 then want[x] = (want[x] or 0) + tonumber(ARGV[j + 1]) end
	end
	for x, own in pairs(want) do
		local s, old, rest = parts(have[x] or '0', id)
		have[x] = value(s + own - old, id, own, rest)
		write(w, x, have[x])
	end
	for _, v in pairs(have) do t = t + max(0, sum_of(v)) end
	w.t = t
	save(w)
	return w
end

-- The counters of a request: KEYS[first] on, with ARGV[a] on: length of a bucket, birth, and how
-- many values are asserted (-1: none is), those. nil and a number: that one cannot be used.
local function load_all(first, n, a, owner)
	local all = {}
	for i = 1, n do
		local b, id, said = tonumber(ARGV[a]), owner .. '_' .. ARGV[a + 1], tonumber(ARGV[a + 2])
		a = a + 3
		if said < 0 then
			all[i] = load(KEYS[first + i - 1], b, id)
		else
			all[i] = assert_own(KEYS[first + i - 1], b, id, a, said)
			a = a + 2 * said
		end
		if not all[i] then return nil, i end
	end
	return all, a
end
