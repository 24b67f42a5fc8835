-- Finds the node of an id. If another program deleted the entry, or there is none, the shadow has the address.
-- ARGV: id
-- -> {0} none | {1} none, but an entry may have been lost | {address} written by another program
-- | {address, stamp, leased 0|1}
entries = KEYS[5]

-- Before any node has joined, no lease is known: no node has one longer than a day, in µs.
local LONGEST_LEASE = 86400000000

-- Whether every live node has joined in this epoch, and has refilled.
local function is_complete()
  local begin, settled, complete = epoch()
  if complete == '1' then return true end
  set_epoch(begin, settled, complete)
  local joined_us = settled == '0' and begin + LONGEST_LEASE or tonumber(settled)
  if now_us < joined_us then return false end
  local all = redis.call('HGETALL', nodes)
  for i = 1, #all, 2 do
    local _, refilled = holder_of(all[i])
    if refilled ~= begin and lives(all[i]) then return false end
  end
  set_epoch(begin, settled, '1')
  return true
end

local entry = is_shared(ARGV[2]) and redis.call('HGET', entries, ARGV[2])
local stamp, holder = owner(redis.call('HGET', shadows, ARGV[2]))
local address = entry or holder
if not address then return {is_complete() and 0 or 1} end
if address ~= holder then return {address} end
return {address, stamp, lives(address) and 1 or 0}
