-- Claims, re-claims and audits.
-- ARGV: address, process, then id, stamp, kind of each claim
-- -> {LOST} | {OK, verdict...}: 0 granted | '+address' granted, displaced | '-address' taken by
local FRESH, EXCLUSIVE = '0', '2'
local address = ARGV[1]
if not member(address, ARGV[2]) then return {'LOST'} end
local sets = string.sub(mine, 1, #mine - #address)

-- Who keeps the id from the claimant. `foreign` is the address that another program wrote after us.
local function taker(stamp, kind, foreign, held_stamp, holder)
  if foreign and kind ~= FRESH then return foreign end
  if not holder then return nil end
  local later = tonumber(stamp) > tonumber(held_stamp)
  -- A connection of our own that Go has seen move on must not come back by a repeated claim.
  if holder == address then return foreign and not later and foreign or nil end
  if not later or (kind == EXCLUSIVE and lives(holder)) then return holder end
end

local function grant(id, stamp, place, shadow, held_stamp, holder)
  if holder == address and tonumber(held_stamp) > tonumber(stamp) then stamp = held_stamp end
  local value = stamp .. ' ' .. address
  -- Most claims are audits, which change nothing: writing only what differs makes them cost no
  -- replication.
  if shadow ~= value then redis.call('HSET', owns, id, value) end
  if place ~= address then redis.call('HSET', places, id, address) end
  -- Also where it should stand there: a set that was lost is filled again. What it does not name, no
  -- sweep and no reaper finds.
  redis.call('SADD', mine, id)
  if holder == address then return 0 end
  if not holder then return 0 end
  redis.call('SREM', sets .. holder, id)
  return '+' .. holder
end

local out = {'OK'}
for i = 3, #ARGV, 3 do
  local id, stamp, kind = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local place, shadow = redis.call('HGET', places, id), redis.call('HGET', owns, id)
  local held_stamp, holder = owner(shadow)
  -- What names the claimant is not foreign: of two entries only the shadow was lost.
  local foreign = place and place ~= holder and place ~= address and place
  local by = taker(stamp, kind, foreign, held_stamp, holder)
  if by then
    -- A foreign program deleted what the holder wrote: put it back.
    if holder and not place then redis.call('HSET', places, id, holder) end
    out[#out + 1] = '-' .. by
  else
    out[#out + 1] = grant(id, stamp, place, shadow, held_stamp, holder)
  end
end
return out
