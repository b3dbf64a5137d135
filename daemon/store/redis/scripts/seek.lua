-- Transactions that nobody has used for ten minutes, nor settled: the node that charged them may be
-- gone. One step through all keys.
--   KEYS[2] what transactions begin with   ARGV[4] where to go on, 0: the beginning
-- {'OK', time, where to go on (0: that was all), transactions...}
local step = redis.call('SCAN', ARGV[4], 'MATCH', KEYS[2] .. ':*', 'COUNT', 200)
local out = {'OK', now, step[1]}
for _, x in ipairs(step[2]) do
	local v = redis.pcall('HGET', x, 'h')
	local h = type(v) == 'string' and head_of(v)
	if h and h.settled == 0 and h.groups > 0 and now - h.used >= 600000 then out[#out + 1] = x end
end
return out
