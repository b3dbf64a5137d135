-- SPDX-License-Identifier: ISC
-- The next changes of a list, at most so many, and as many as make a page of 48 KB.
--   ARGV[1] the number after which  [2] how many at most  [3] the time, 0: TIME
-- {'OK', time, v, e, 1 if there are more, number of the last, "number TAB member TAB value NEWLINE ..."}; the
-- value of a removed one is empty, and "?" one that is too long to be ours
local rows = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local members, out, bytes, last, more = {}, {}, 0, '0', 0
for i = 1, #rows, 2 do members[#members + 1] = rows[i] end
if #members > 0 then
	local values = redis.call('HMGET', KEYS[3], unpack(members))
	for i, member in ipairs(members) do
		local value = values[i] or ''
		if #value > 2048 then value = '?' end
		bytes = bytes + #member + #value + 24
		if i > 1 and bytes > 49152 then more = 1 break end
		last = rows[2 * i]
		out[i] = last .. '\t' .. (#member > 1024 and '?' or member) .. '\t' .. value
	end
	if #members == tonumber(ARGV[2]) then more = 1 end
end
if ARGV[1] == '0' then keep_keys() end
local state = redis.call('HMGET', KEYS[1], 'v', 'e')
return {'OK', now, state[1] or '0', state[2] or '', more, last, table.concat(out, '\n')}
