-- Transactions. A hash: h the head, "g" and a counter's key: what was charged there (a group), "r"
-- and a rule: when recipients were last charged by it, "m", a recipient's hash and a rule: when, and
-- in which groups. "When" is the epoch, which every refund of the whole raises; what is older than
-- the head's floor was given back.
local HEAD = {'v', 'asked', 'settled', 'ended', 'epoch', 'floor', 'used', 'kept', 'members', 'groups'}
local IDLE, ENDED, MEMBERS, GROUPS = 960000, 180000, 4096, 1024 -- ms: a little longer than the nodes

local function new_head(service)
	return {v = 0, asked = 0, settled = 0, ended = 0, epoch = 1, floor = 1, used = now, kept = 0,
		members = 0, groups = 0, service = service}
end

-- nil: there is none, or it is over.
local function head_of(s)
	if not s then return nil end
	local h, i = {}, 0
	for word in s:gmatch('[^;]+') do
		i = i + 1
		if HEAD[i] then
			h[HEAD[i]] = number(word)
			if not h[HEAD[i]] then return nil end
		else
			h.service = word
		end
	end
	if i ~= #HEAD + 1 then return nil end
	if now - h.used >= (h.ended == 1 and ENDED or IDLE) then return nil end
	return h
end

local function head_text(h)
	local words = {}
	for i = 1, #HEAD do words[i] = format('%.0f', h[HEAD[i]]) end
	words[#HEAD + 1] = h.service
	return table.concat(words, ';')
end

local GROUP = {'index', 'bucket_ms', 'limit', 'gate', 'one', 'what', 'reserved', 'net', 'recipients', 'epoch'}

local function group_of(s)
	if not s then return nil end
	local g, i = {layers = {}}, 0
	local numbers, layers = match(s, '^([^|]*)|(.*)$')
	if not numbers then return nil end
	for word in numbers:gmatch('[^;]+') do
		i = i + 1
		if not GROUP[i] then return nil end
		g[GROUP[i]] = number(word)
		if not g[GROUP[i]] then return nil end
	end
	if i ~= #GROUP then return nil end
	for bucket, amount in layers:gmatch('(%d+)=(%d+)') do
		g.layers[#g.layers + 1] = {tonumber(bucket), tonumber(amount)}
	end
	return g
end

local function group_text(g)
	local words, layers = {}, {}
	for i = 1, #GROUP do words[i] = format('%.0f', g[GROUP[i]]) end
	for i, layer in ipairs(g.layers) do layers[i] = format('%.0f=%.0f', layer[1], layer[2]) end
	return table.concat(words, ';') .. '|' .. table.concat(layers, ',')
end

local function add_layer(g, bucket, amount)
	local last = g.layers[#g.layers]
	if amount == 0 then return end
	if last and (last[1] == bucket or #g.layers >= 128) then
		last[2] = last[2] + amount
	else
		g.layers[#g.layers + 1] = {bucket, amount}
	end
end

local function rule_of(key)
	return match(key, '^[^:]*:c:([^:]*):')
end

-- Writes `set` and the head, and keeps the transaction alive.
local function save_txn(x, h, set)
	h.used = now
	local keep = h.ended == 1 and ENDED or IDLE
	local renew = now - h.kept >= 60000 or h.ended == 1
	if renew then h.kept = now end
	set[#set + 1] = 'h'
	set[#set + 1] = head_text(h)
	call('HSET', x, unpack(set))
	if renew then call('PEXPIRE', x, keep + 60000) end
end
