-- What is used, and when the oldest part is free again.
--   KEYS[2...] counters   ARGV[4] how many; then the counters (see load_all)
-- time, and for each counter used, free_ms, free_amount; or {'BAD', time, counter}
local keys, p = struct.unpack('<d', ARGV[4])
local all, at = load_all(2, keys, ARGV[4], p)
if not all then return {'BAD', now, at} end
local out = struct.pack('<d', now)
for _, w in ipairs(all) do out = out .. struct.pack('<ddd', w.t, next_ms(w)) end
return out
