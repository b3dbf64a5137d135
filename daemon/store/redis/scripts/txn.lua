-- Transactions. A hash: h the head, "g" and what a counter's key ends with: what was charged there (a
-- group), "m" and a recipient: for each rule when he was charged, and in which groups he counts, r:
-- for each rule when it charged recipients last, "b", a node's incarnation and a number: what that one
-- was told when it gave back others' charges (see refund.lua). "When" is the epoch, which every refund
-- of the whole raises; what is older than the head's floor was given back. While names and values have
-- at most 64 bytes each, Redis keeps such a hash in one piece of memory.
local HEAD, GROUP = '<I4I4BI4I4ddI2I2c8', '<I2dBddI4I4'
local IDLE = 960000 -- ms: a little longer than the nodes, also of what has ended; a minute more in Redis
local BASE = string.find(KEYS[1], '}:', 1, true) + 2

local function rule_of(key)
	return string.sub(key, BASE + 2, string.find(key, ':', BASE + 2, true) - 1)
end

-- nil: there is none, or it is over. One that has ended is told as long as another: a node that asked
-- about its recipients may want to give them back ten minutes later, when another has settled them.
local function head_of(s)
	if not s or #s ~= 45 then return nil end
	local v, asked, flags, epoch, floor, used, kept, members, groups, service = struct.unpack(HEAD, s)
	local ended = flags >= 2 and 1 or 0
	if not (now - used < IDLE) then return nil end
	return {v = v, asked = asked, settled = flags % 2, ended = ended, epoch = epoch, floor = floor,
		used = used, kept = kept, members = members, groups = groups, service = service,
		changed = false}
end

local function group_of(s)
	if not s or #s < 35 or (#s - 35) % 16 ~= 0 then return nil end
	local index, limit, flags, reserved, net, recipients, epoch = struct.unpack(GROUP, s)
	return {index = index, limit = limit, gate = flags % 2, one = math.floor(flags / 2) % 2,
		what = math.floor(flags / 4), reserved = reserved, net = net, recipients = recipients,
		epoch = epoch, layers = string.sub(s, 36), touched = false}
end

local function group_text(g)
	return struct.pack(GROUP, g.index, g.limit, g.gate + 2 * g.one + 4 * g.what, g.reserved, g.net,
		g.recipients, g.epoch) .. g.layers
end

-- What was charged, bucket by bucket.
local function add_layer(g, bucket, amount)
	local layers = g.layers
	if amount == 0 then return end
	if #layers > 0 then
		local last, before = struct.unpack('<dd', layers, #layers - 15)
		if last == bucket or #layers >= 2048 then
			g.layers = string.sub(layers, 1, -9) .. struct.pack('<d', before + amount)
			return
		end
	end
	g.layers = layers .. struct.pack('<dd', bucket, amount)
end

-- Of a rule in a recipient's list: when, the groups (2 bytes each), and where it stands. -1: never.
local function member_of(list, name)
	local p = 1
	while p + 7 <= #list do
		local length, epoch, count = struct.unpack('<BI4I2', list, p)
		local past = p + 7 + length + 2 * count
		if length == #name and string.sub(list, p + 7, p + 6 + length) == name then
			return epoch - 1, string.sub(list, p + 7 + length, past - 1), p, past
		end
		p = past
	end
	return -1, '', #list + 1, #list + 1
end

local function has_group(groups, index)
	if groups == '' then return false end
	local two = struct.pack('<I2', index)
	local at = string.find(groups, two, 1, true)
	while at and at % 2 == 0 do at = string.find(groups, two, at + 1, true) end
	return at ~= nil
end

-- Writes `set` and the head, and keeps the transaction alive.
local function save_txn(x, h, set)
	local renew, n = now - h.kept >= 60000, #set
	h.used = now
	if renew then h.kept = now end
	set[n + 1], set[n + 2] = 'h', struct.pack(HEAD, h.v, math.min(h.asked, 4294967295),
		h.settled + 2 * h.ended, h.epoch, h.floor, now, h.kept, h.members, h.groups, h.service)
	redis.call('HSET', x, unpack(set))
	if renew then redis.call('PEXPIRE', x, '1020000') end
end
