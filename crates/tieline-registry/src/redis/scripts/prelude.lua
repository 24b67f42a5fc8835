-- The beginning of every script: the names of the keys, the server's time, and how to read entries.
--
-- All scripts get the same KEYS, which are in one slot of a Redis Cluster:
--   entries   hash  id -> address; the layout that other programs share
--   shadows   hash  id -> "stamp address"; what Tieline wrote
--   nodes     hash  address -> process
--   leases    zset  address -> end of its lease, in ms of the server's clock
--   clock     text  the cluster's clock, in µs
--   node_ids  set   the ids whose shadow has the caller's address
-- Stamps are stored as text and compared as numbers, which are exact below 2^53.
local entries, shadows, nodes, leases, clock, node_ids = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

-- A write that changes nothing: a master that becomes a replica keeps its connections, and would
-- otherwise continue to answer reads from outdated data. A master that accepts no writes for now, because
-- it cannot save them or has too few replicas, still answers reads.
local guard = redis.pcall('HDEL', nodes, '')
if type(guard) == 'table' and not string.find(guard.err, 'MISCONF')
  and not string.find(guard.err, 'NOREPLICAS') then
  return guard
end

local time = redis.call('TIME')
local now_us = time[1] .. string.format('%06d', time[2])
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- Whether the lease of an address lives.
local function lives(address)
  local expiry = redis.call('ZSCORE', leases, address)
  return expiry and tonumber(expiry) > now_ms
end

-- Whether a process holds an address, and its lease lives.
local function holds(address, process)
  return redis.call('HGET', nodes, address) == process and lives(address)
end

-- The stamp and address of a shadow; nil for one that is missing, or that no node can have written. A
-- stamp that is not exact would win for ever.
local function owner(shadow)
  if not shadow then return nil end
  local stamp, address = string.match(shadow, '^(%d+) (.*)$')
  if stamp and tonumber(stamp) < 2 ^ 53 then return stamp, address end
end

-- Sets the end of the lease to `lease` ms from now, and advances the clock. Returns what a node learns
-- with each renewal: the clock, the number of its ids, and the number of entries minus that of shadows.
local function renew(address, caller_us, lease)
  redis.call('ZADD', leases, string.format('%.0f', now_ms + lease), address)
  local us = redis.call('GET', clock) or now_us
  if tonumber(now_us) > tonumber(us) then us = now_us end
  if tonumber(caller_us) > tonumber(us) then us = caller_us end
  redis.call('SET', clock, us)
  return us, redis.call('SCARD', node_ids), redis.call('HLEN', entries) - redis.call('HLEN', shadows)
end
