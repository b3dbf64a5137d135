-- Empties counters. What others hold stays theirs, so that nothing brings it back: who resets holds
-- the opposite.
--   KEYS[2...] counters   ARGV[4] owner  [5] counters; then the counters (see load_all)
-- {'OK', time, how many held something, differences: counter, bucket, difference, ...}
-- or {'BAD', time, counter}
local all, at = load_all(2, tonumber(ARGV[5]), 6, ARGV[4])
if not all then return {'BAD', now, at} end
local out, held = {'OK', now, 0}, 0
for i, w in ipairs(all) do
	local h = call('HGETALL', w.k)
	if w.t > 0 then held = held + 1 end
	for j = 1, #h, 2 do
		local b = number(h[j])
		local v = b and b <= w.m and b >= w.m - 60 and sum_of(h[j + 1]) and h[j + 1]
		if v then
			local s, own, rest = parts(v, w.id)
			if s ~= 0 then
				write(w, b, value(0, w.id, own - s, rest))
				local n = #out
				out[n + 1], out[n + 2], out[n + 3] = i, b, -s
			end
		end
	end
	w.t = 0
	save(w)
	call('HDEL', w.k, 'w')
end
out[3] = held
return out
