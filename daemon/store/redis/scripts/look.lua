-- What is used, and when the oldest part is free again.
--   KEYS[2...] counters   ARGV[4] owner  [5] counters; then the counters (see load_all)
-- {'OK', time, and for each counter used, free_ms, free_amount} or {'BAD', time, counter}
local all, at = load_all(2, tonumber(ARGV[5]), 6, ARGV[4])
if not all then return {'BAD', now, at} end
local out = {'OK', now}
for _, w in ipairs(all) do
	local n = #out
	out[n + 1] = w.t
	out[n + 2], out[n + 3] = next_ms(w)
end
return out
