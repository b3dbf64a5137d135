-- Milliseconds until the oldest part is free again, and how much that is; 0, 0: nothing is used.
local function next_ms(w)
	local have = scan(w) or {}
	for x = w.m - 60, w.m do
		local s = have[x] and struct.unpack('<d', have[x]) or 0
		if s > 0 then return math.max(1, (x + 61) * w.b - now), s end
	end
	return 0, 0
end

-- Milliseconds until `cost` fits under `limit`; -1: never.
local function wait_ms(w, limit, cost)
	if cost > limit then return -1 end
	local too_much = w.t - (limit - cost)
	if too_much <= 0 then return 0 end
	local have = scan(w) or {}
	for x = w.m - 60, w.m do
		local s = have[x] and struct.unpack('<d', have[x]) or 0
		if s > 0 and s >= too_much then return math.max(1, (x + 61) * w.b - now) end
		too_much = too_much - math.max(0, s)
	end
	return w.b
end
