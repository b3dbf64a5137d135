-- SPDX-License-Identifier: ISC
-- Takes a member off a list.
--   ARGV[1] member  [2] when that was decided  [3] the time, 0: TIME  [4] ms that others are kept after their
--   end  [5] channel  [6] word of the list there
-- {'OK', time}, {'SAME', time}; {'KEPT', time, number, value}: it was put there later
local member, made = ARGV[1], tonumber(ARGV[2])
local old = redis.call('HGET', KEYS[3], member)
local old_made, _, old_until = parts_of(old)
if old_made and old_made > made and old_until > now then
	return {'KEPT', now, redis.call('ZSCORE', KEYS[2], member) or '0', old}
end
local removed = redis.call('ZSCORE', KEYS[5], member)
if not old and removed and tonumber(removed) >= made then return {'SAME', now} end
redis.call('HDEL', KEYS[3], member)
redis.call('ZREM', KEYS[4], member)
redis.call('ZADD', KEYS[5], made, member)
change(member, ARGV[5], ARGV[6])
purge(tonumber(ARGV[4]))
return {'OK', now}
