-- SPDX-License-Identifier: ISC
-- Puts a member on a list, or changes its facts.
--   ARGV[1] member  [2] when that was decided  [3] the time, 0: TIME  [4] until, ms or inf
--   [5] 1: sticky, made by a person: never put out for want of room; the later of two counts. 0: the
--   one that ends later counts  [6] facts  [7] ms that it is kept after its end  [8] members at most
--   [9] channel  [10] word of the list there
-- {'OK', time}, {'SAME', time}; {'GONE', time}: it was removed since; {'KEPT', time, number, value}: what is
-- there counts
local member, made, sticky = ARGV[1], tonumber(ARGV[2]), ARGV[5] == '1'
local removed = redis.call('ZSCORE', KEYS[5], member)
if removed and tonumber(removed) >= made then return {'GONE', now} end
local old = redis.call('HGET', KEYS[3], member)
local value = ARGV[2] .. ' ' .. ARGV[5] .. ' ' .. ARGV[4] .. ' ' .. ARGV[6]
if old == value then return {'SAME', now} end
local old_made, old_sticky, old_until = parts_of(old)
if old_made and old_until > now then
	local wins = sticky
	if sticky == old_sticky then
		if sticky then wins = made >= old_made else wins = time_of(ARGV[4]) > old_until end
	end
	if not wins then return {'KEPT', now, redis.call('ZSCORE', KEYS[2], member) or '0', old} end
end
redis.call('ZREM', KEYS[5], member)
redis.call('HSET', KEYS[3], member, value)
redis.call('ZADD', KEYS[4], ARGV[4], member)
change(member, ARGV[9], ARGV[10])
purge(tonumber(ARGV[7]))
local over = redis.call('ZCARD', KEYS[4]) - tonumber(ARGV[8])
if over > 0 then
	for _, other in ipairs(redis.call('ZRANGE', KEYS[4], 0, 19)) do
		local _, is_sticky = parts_of(redis.call('HGET', KEYS[3], other))
		if not is_sticky and other ~= member and over > 0 then
			drop(other)
			over = over - 1
		end
	end
end
return {'OK', now}
