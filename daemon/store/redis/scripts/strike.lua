-- SPDX-License-Identifier: ISC
-- What was seen of an address or a login, over all nodes, in windows of 30 parts.
--   KEYS[1] hash: "<kind>:<ms of a part>:<number of the part>" = count, g = last good login
--   ARGV[1] 1: forget first what a ban was for  [2] the kinds of that: "0 1 4"  [3] the time, 0: TIME
--   [4] ms that a good login counts; 0: none is known  [5] 1: there was one now
--   then for each kind, from 0 on: how many more, window in ms
-- {'OK', time, 1 if there was a good login, count of each kind}
local PARTS, SPACE = 30, 1000
local longest, keep = 1000, tonumber(ARGV[4])
local kinds, counts = {}, {}
for i = 6, #ARGV, 2 do
	local window = tonumber(ARGV[i + 1])
	local part = math.max(1, math.floor(window / PARTS))
	kinds[#kinds + 1] = {part = part, newest = math.floor(now / part), more = tonumber(ARGV[i])}
	counts[#counts + 1] = 0
	longest = math.max(longest, window)
end
local forget = {}
if ARGV[1] == '1' then
	for kind in string.gmatch(ARGV[2], '%d+') do forget[tonumber(kind)] = true end
end
local good, over = 0, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
	local kind, part, number = string.match(all[i], '^(%d+):(%d+):(%d+)$')
	kind, part, number = tonumber(kind), tonumber(part), tonumber(number)
	local of = kind and kinds[kind + 1]
	if all[i] == 'g' then
		good = tonumber(all[i + 1]) or 0
	elseif of and of.part == part and number > of.newest - PARTS and number <= of.newest and not forget[kind] then
		counts[kind + 1] = counts[kind + 1] + (tonumber(all[i + 1]) or 0)
	else
		over[#over + 1] = all[i]
	end
end
for i = 1, #over, SPACE do redis.call('HDEL', KEYS[1], unpack(over, i, math.min(i + SPACE - 1, #over))) end
for kind, of in ipairs(kinds) do
	if of.more > 0 then
		redis.call('HINCRBY', KEYS[1], (kind - 1) .. ':' .. of.part .. ':' .. string.format('%d', of.newest), of.more)
		counts[kind] = counts[kind] + of.more
	end
end
if ARGV[5] == '1' then
	good = now
	redis.call('HSET', KEYS[1], 'g', now)
end
local is_good = good > 0 and now - good < keep
redis.call('PEXPIRE', KEYS[1], is_good and math.max(longest, keep) or longest)
local out = {'OK', now, is_good and 1 or 0}
for _, count in ipairs(counts) do out[#out + 1] = count end
return out
