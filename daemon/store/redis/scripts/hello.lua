-- SPDX-License-Identifier: ISC
-- A node says that it is there: at each connection, when its fence is gone, and once a second.
--   KEYS[1] fence  [2] lease of the node's name  [3] nodes, by when they were last there
--   [4] services
--   ARGV[1] fence: incarnation.number  [2] beat: only if the fence is still that; hello: from now
--   on it is  [3] the time, 0: TIME  [4] incarnation  [5] node's name  [6] ms that the fence and
--   [7] the lease hold  [8] channel on which the others hear that all was forgotten, and greet at once
-- {'OK', time, nodes of the last hour, incarnation that holds the name if it is another, and for how
-- many ms, services: name, "settled;unsettled", ...} or {'STALE'}
local mine = redis.call('GET', KEYS[1])
if ARGV[2] == 'beat' then
	if mine ~= ARGV[1] then return {'STALE'} end
	-- Written anew, not only kept: where memory is full this fails, and so the node hears of it.
	redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[6])
else
	local number = mine and tonumber(string.match(mine, '%.(%d+)$'))
	if number and number > tonumber(string.match(ARGV[1], '%.(%d+)$')) then return {'STALE'} end
	if redis.call('EXISTS', KEYS[3]) == 0 then redis.pcall('PUBLISH', ARGV[8], 'n') end
	redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[6])
end
local holder, left = redis.call('GET', KEYS[2]) or ARGV[4], 0
if holder == ARGV[4] then
	redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[7])
	holder = ''
else
	left = redis.call('PTTL', KEYS[2])
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 3600000)
redis.call('ZADD', KEYS[3], now, ARGV[5])
redis.call('PEXPIRE', KEYS[3], 7200000)
local out = {'OK', now, redis.call('ZCARD', KEYS[3]), holder, left}
for _, word in ipairs(redis.call('HGETALL', KEYS[4])) do out[#out + 1] = word end
return out
