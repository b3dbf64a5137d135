-- Own values again, of counters that are in doubt.
--   KEYS[2...] counters   ARGV[4] how many; then the counters (see load_all)
-- time; or {'BAD', time, counter}
local keys, p = struct.unpack('<d', ARGV[4])
local all, at = load_all(2, keys, ARGV[4], p)
if not all then return {'BAD', now, at} end
return struct.pack('<d', now)
