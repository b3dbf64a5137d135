-- Own values again, of counters that are in doubt.
--   KEYS[2...] counters   ARGV[4] owner  [5] counters; then the counters (see load_all)
-- {'OK', time} or {'BAD', time, counter}
local all, at = load_all(2, tonumber(ARGV[5]), 6, ARGV[4])
if not all then return {'BAD', now, at} end
return {'OK', now}
