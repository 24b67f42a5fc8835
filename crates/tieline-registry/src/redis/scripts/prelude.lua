-- The beginning of every script: the names of the keys, the cluster's clock, and how to read entries.
--
-- KEYS are in one slot of a Redis Cluster. While a slot moves, Redis refuses a script that names a key which
-- does not exist. So a script names only keys that it uses, in this order, and each of Tieline's own exists as
-- long as a node has joined, because it contains '', which is no address and no id:
--   nodes     hash  address -> "process epoch"; the epoch in which the node has refilled, or 0
--   leases    zset  address -> end of its lease, in ms of the cluster's clock
--   clock     text  the latest time of the cluster's clock, in µs
--   shadows   hash  id -> "stamp address"; what Tieline wrote. '' -> the epoch: see `epoch` below;
--                   '\0\0' -> the number of shadows without an entry: see `is_shared`
--   node_ids  set   the ids whose shadow has the caller's address, and ''
--   entries   hash  id -> address; the layout that other programs share. Without clients, it does not exist
-- Scripts without node_ids have entries in its place. Stamps are stored as text and compared as numbers, which
-- are exact below 2^53.
--
-- ARGV[1] is "clock deadline", in µs: the caller's estimate of the clock, and when the script does nothing any
-- more; 0 is none. One argument, because a server that requires a password accepts only ten before it.
local nodes, leases, clock, shadows, node_ids, entries = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local UNSHARED = '\0\0'

-- A write that changes nothing: a master that becomes a replica keeps its connections, and would
-- otherwise continue to answer reads from outdated data. A master that accepts no writes for now, because
-- it cannot save them or has too few replicas, still answers reads.
local guard = redis.pcall('HDEL', nodes, '')
if type(guard) == 'table' and not string.find(guard.err, 'MISCONF')
  and not string.find(guard.err, 'NOREPLICAS') then
  return guard
end

local function text(number)
  return string.format('%.0f', number)
end

-- The cluster's clock never goes back: if that of the server does, or a slower server takes over, the
-- estimates of the callers let it advance. A server that accepts no writes for now still answers reads.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local stored_us = tonumber(redis.call('GET', clock) or 0)
local caller_us, deadline_us = string.match(ARGV[1], '^(%d+) (%d+)$')
caller_us, deadline_us = tonumber(caller_us), tonumber(deadline_us)
if caller_us > now_us and caller_us > stored_us then redis.pcall('SET', clock, text(caller_us)) end
now_us = math.max(now_us, stored_us, caller_us)

-- A request that the network delivers late, or twice, does nothing: its caller has given up, or has gone on.
if deadline_us > 0 and now_us > deadline_us then return redis.error_reply('LATE ' .. text(now_us)) end

-- Whether the lease of an address lives.
local function lives(address)
  local expiry = redis.call('ZSCORE', leases, address)
  return expiry and tonumber(expiry) > now_us / 1000
end

-- The process that holds an address, and the epoch in which it has refilled.
local function holder_of(address)
  local value = redis.call('HGET', nodes, address)
  if value then return string.match(value, '^(%S+) ?(%d*)') end
end

-- Whether a process holds an address, and its lease lives.
local function holds(address, process)
  return (holder_of(address)) == process and lives(address)
end

-- The stamp and address of a shadow; nil for one that is missing, or that no node can have written. A
-- stamp that is not exact would win for ever.
local function owner(shadow)
  if not shadow then return nil end
  local stamp, address = string.match(shadow, '^(%d+) (.*)$')
  if stamp and tonumber(stamp) < 2 ^ 53 then return stamp, address end
end

-- Whether other programs share the namespace of an id. They know the default one only; in another one, ids begin
-- with NUL and have no entries: the shadow is all.
local function is_shared(id)
  return string.byte(id) ~= 0
end

-- Counts shadows without an entry that were added, or removed.
local function count_unshared(change)
  if change == 0 then return end
  local count = (tonumber(redis.call('HGET', shadows, UNSHARED)) or 0) + change
  if count > 0 then redis.call('HSET', shadows, UNSHARED, text(count)) else redis.call('HDEL', shadows, UNSHARED) end
end

-- The epoch: when these data began, in µs. It is "begin settled complete": `settled` is when every live node
-- has joined, one lease later, or 0 before any has; `complete` is 1 once every live node has refilled, so that
-- the absence of an id is certain. An epoch that is missing was lost with the entries, and begins now.
local function epoch()
  local begin, settled, complete = string.match(redis.call('HGET', shadows, '') or '', '^(%d+) (%d+) ([01])$')
  if begin then return begin, settled, complete end
  return text(now_us), '0', '0'
end

-- Without an error if the server accepts no writes for now: a read may call it.
local function set_epoch(begin, settled, complete)
  local value = begin .. ' ' .. settled .. ' ' .. complete
  if redis.call('HGET', shadows, '') ~= value then redis.pcall('HSET', shadows, '', value) end
end

-- The number of the caller's ids.
local function count_ids()
  redis.call('SADD', node_ids, '')
  return redis.call('SCARD', node_ids) - 1
end

-- Sets the end of the lease to `lease` ms from now, and advances the clock. A node that may lack entries is not
-- `refilled`. Returns what a node learns with each renewal: the clock, the epoch and the number of its ids.
local function renew(address, process, refilled, node_us, lease)
  local us = math.max(now_us, tonumber(node_us))
  redis.call('ZADD', leases, text(math.floor(us / 1000) + lease), address)
  redis.call('SET', clock, text(us))
  local begin, settled, complete = epoch()
  local joined_us = begin + lease * 1000
  if settled == '0' or now_us < tonumber(settled) then settled = text(math.max(settled, joined_us)) end
  if refilled ~= begin then complete = '0' end
  redis.call('HSET', nodes, address, process .. ' ' .. refilled)
  set_epoch(begin, settled, complete)
  return text(us), begin, count_ids()
end
