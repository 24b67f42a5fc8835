-- Claims ids: new ones, repeated claims and audits.
-- ARGV: address, process, then for each claim its id, stamp and kind
-- -> {LOST} | {OK, verdict...}: 0 granted | '+address' granted, displaced from | '-address' taken by
local FRESH, EXCLUSIVE = '0', '2'
local address = ARGV[2]
if not holds(address, ARGV[3]) then return {'LOST'} end
local node_ids_prefix = string.sub(node_ids, 1, #node_ids - #address)

-- The address that keeps the id from the claimant, or nil. `foreign` is what another program wrote over
-- the holder's entry.
local function keeper(stamp, kind, foreign, held_stamp, holder)
  if foreign and kind ~= FRESH then return foreign end
  if not holder then return nil end
  local later = tonumber(stamp) > tonumber(held_stamp)
  -- The client has moved to the other program since: a repeated claim must not bring it back.
  if holder == address then return foreign and not later and foreign or nil end
  if not later or (kind == EXCLUSIVE and lives(holder)) then return holder end
end

local function grant(id, shared, stamp, entry, shadow, held_stamp, holder)
  if holder == address and tonumber(held_stamp) > tonumber(stamp) then stamp = held_stamp end
  local value = stamp .. ' ' .. address
  local displaced = holder and holder ~= address
  -- First: while a slot moves, this is what may fail, and then nothing of this claim has been written.
  if displaced then redis.call('SREM', node_ids_prefix .. holder, id) end
  -- Most claims are audits, which change nothing. They cost no replication, because only what differs
  -- is written.
  if shadow ~= value then
    local added = redis.call('HSET', shadows, id, value)
    if not shared then count_unshared(added) end
  end
  if shared and entry ~= address then redis.call('HSET', entries, id, address) end
  -- Always: the set may have been lost, and the sweep and the reaper find only ids in it.
  redis.call('SADD', node_ids, id)
  return displaced and '+' .. holder or 0
end

local out = {'OK'}
for i = 4, #ARGV, 3 do
  local id, stamp, kind = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local shared = is_shared(id)
  local entry, shadow = shared and redis.call('HGET', entries, id), redis.call('HGET', shadows, id)
  local held_stamp, holder = owner(shadow)
  -- An entry with the claimant's address is not foreign: only its shadow was lost.
  local foreign = entry and entry ~= holder and entry ~= address and entry
  local by = keeper(stamp, kind, foreign, held_stamp, holder)
  if by then
    -- Another program deleted the holder's entry: write it again.
    if shared and holder and not entry then redis.call('HSET', entries, id, holder) end
    out[#out + 1] = '-' .. by
  else
    out[#out + 1] = grant(id, shared, stamp, entry, shadow, held_stamp, holder)
  end
end
return out
