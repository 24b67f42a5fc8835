-- What every script begins with: the keys' names, the server's time, and how entries are read.
--
-- All scripts get the same KEYS, so that all of them fall into one slot of a cluster:
--   places   hash  id -> address; the layout that other programs share
--   owns     hash  id -> "stamp address"; what Tieline wrote, the shadow
--   nodes    hash  address -> process
--   leases   zset  address -> end of its lease, in ms of the server's clock
--   clock    text  the cluster's clock, in µs
--   mine     set   ids whose shadow names the caller's address
-- Stamps stay text; they are compared as numbers, exact below 2^53.
local places, owns, nodes, leases, clock, mine = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

-- Changes nothing, but is a write: a master that was made a replica keeps its connections, and would
-- go on to answer what can be answered without one, from data that ages.
redis.call('HDEL', nodes, '')

local time = redis.call('TIME')
local now_us = time[1] .. string.format('%06d', time[2])
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- Whether the lease of an address lives.
local function lives(address)
  local expiry = redis.call('ZSCORE', leases, address)
  return expiry and tonumber(expiry) > now_ms
end

-- Whether a process holds an address, with a lease that lives.
local function member(address, process)
  return redis.call('HGET', nodes, address) == process and lives(address)
end

-- Stamp and address of a shadow; nothing for a missing one, nor for one that no node of ours has
-- written: a stamp beyond what is exact would win for ever.
local function owner(shadow)
  if not shadow then return nil end
  local stamp, address = string.match(shadow, '^(%d+) (.*)$')
  if stamp and tonumber(stamp) < 2 ^ 53 then return stamp, address end
end

-- Takes the lease until `lease` ms from now, moves the clock on, and says what a node learns of its
-- place: the clock, the entries under its address, and those that foreign programs wrote more than
-- they deleted.
local function renew(address, caller_us, lease)
  redis.call('ZADD', leases, string.format('%.0f', now_ms + lease), address)
  local us = redis.call('GET', clock) or now_us
  if tonumber(now_us) > tonumber(us) then us = now_us end
  if tonumber(caller_us) > tonumber(us) then us = caller_us end
  redis.call('SET', clock, us)
  return us, redis.call('SCARD', mine), redis.call('HLEN', places) - redis.call('HLEN', owns)
end
