-- Milliseconds until the oldest part is free again, and how much that is; 0, 0: nothing is used.
local function next_ms(w)
	local f, free, amount = {}, 0, 0
	for x = 0, 60 do f[x + 1] = w.m - 60 + x end
	local v = call('HMGET', w.k, unpack(f))
	for x = 61, 1, -1 do
		local s = v[x] and sum_of(v[x]) or 0
		if s > 0 then free, amount = max(1, (f[x] + 61) * w.b - now), s end
	end
	return free, amount
end

-- Milliseconds until `cost` fits under `limit`; -1: never.
local function wait_ms(w, limit, cost)
	if cost > limit then return -1 end
	local too_much = w.t - (limit - cost)
	if too_much <= 0 then return 0 end
	local f = {}
	for x = 0, 60 do f[x + 1] = w.m - 60 + x end
	local v = call('HMGET', w.k, unpack(f))
	for x = 1, 61 do
		local s = v[x] and sum_of(v[x]) or 0
		if s > 0 and s >= too_much then return max(1, (f[x] + 61) * w.b - now) end
		too_much = too_much - max(0, s)
	end
	return w.b
end
