-- What is used, and when the oldest part is free again.
--   KEYS[2...] counters   ARGV[4] owner  [5] counters; then the counters (see load_all)
-- {'OK', time, and for each counter used, free_ms, free_amount} or {'BAD', time, counter}
local all, at = load_all(2, tonumber(ARGV[5]), 6, ARGV[4])
if not all then return {'BAD', now, at} end
local out = {'OK', now}
for _, w in ipairs(all) do
	local f, free, amount = {}, 0, 0
	for x = 0, 60 do f[x + 1] = w.m - 60 + x end
	local v = call('HMGET', w.k, unpack(f))
	for x = 61, 1, -1 do
		local s = v[x] and sum_of(v[x]) or 0
		if s > 0 then free, amount = max(1, (f[x] + 61) * w.b - now), s end
	end
	local n = #out
	out[n + 1], out[n + 2], out[n + 3] = w.t, free, amount
end
return out
