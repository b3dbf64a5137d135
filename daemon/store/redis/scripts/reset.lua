-- Empties counters. What others hold stays theirs, so that nothing brings it back: who resets holds
-- the opposite.
--   KEYS[2...] counters   ARGV[4] how many; then the counters (see load_all)
-- time, how many held something, differences: counter, bucket, difference, ...; or {'BAD', time, counter}
local keys, p = struct.unpack('<d', ARGV[4])
local all, at = load_all(2, keys, ARGV[4], p)
if not all then return {'BAD', now, at} end
local out, held = '', 0
for i, w in ipairs(all) do
	local have = scan(w) -- nil: some of it cannot be ours, and it is left alone
	if have then
		if w.t > 0 then held = held + 1 end
		for bucket, v in pairs(have) do
			local s, own, at = struct.unpack('<d', v), own_of(v, w.id)
			if s ~= 0 then
				write(w, bucket, value(v, 0, w.id, own - s, at))
				out = out .. struct.pack('<ddd', i, bucket, -s)
			end
		end
		if w.w >= 0 then w.changed = true end
		w.t, w.w = 0, -1
		save(w)
	end
end
return struct.pack('<dd', now, held) .. out
