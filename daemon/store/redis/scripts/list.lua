-- SPDX-License-Identifier: ISC
-- What the scripts of a shared list have in common. A list is bans or live limits: members with facts,
-- changed by any node. Each change has a number, by which the others read what they have not seen.
--   KEYS[1] state: v, the last number, and e, when the list began  [2] members by their last number
--   [3] facts: "made sticky until facts"  [4] members by the time they end  [5] removed ones, by when
-- A removal is remembered for an hour, so that a change which was decided before it and comes late
-- is known to be over.
local function time_of(text) return text == 'inf' and math.huge or tonumber(text) end

-- made, sticky, until of a value, or nothing if it is none of ours
local function parts_of(value)
	local made, sticky, ends = string.match(value or '', '^(%d+) ([01]) (%w+) ')
	ends = made and time_of(ends)
	if ends then return tonumber(made), sticky == '1', ends end
end

local function drop(member)
	redis.call('HDEL', KEYS[3], member)
	redis.call('ZREM', KEYS[4], member)
	redis.call('ZREM', KEYS[2], member)
end

-- A bounded share of what is over.
local function purge(keep)
	for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now - keep, 'LIMIT', 0, 50)) do
		drop(member)
	end
	for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - 3600000, 'LIMIT', 0, 50)) do
		redis.call('ZREM', KEYS[5], member)
		if redis.call('HEXISTS', KEYS[3], member) == 0 then redis.call('ZREM', KEYS[2], member) end
	end
end

local function keep_keys()
	for i = 1, 5 do redis.call('PEXPIRE', KEYS[i], 3456000000) end
end

local function change(member, channel, word)
	redis.call('HSETNX', KEYS[1], 'e', now)
	local number = redis.call('HINCRBY', KEYS[1], 'v', 1)
	redis.call('ZADD', KEYS[2], number, member)
	keep_keys()
	redis.call('PUBLISH', channel, word .. ' ' .. string.format('%d', number))
end

