-- Removes some entries of an expired node, and the node after its last entry. Each call checks the lease:
-- the node may have come back since the last one.
-- ARGV: address, mark of the lease, the most entries to remove
-- -> the number of entries left | -1 it is not that lease, or it lives
local address = ARGV[2]
if redis.call('ZSCORE', leases, address) ~= ARGV[3] or lives(address) then return -1 end
redis.call('SREM', node_ids, '')
for _, id in ipairs(redis.call('SPOP', node_ids, ARGV[4])) do
  local _, holder = owner(redis.call('HGET', shadows, id))
  if holder == address then
    redis.call('HDEL', shadows, id)
    if not is_shared(id) then
      count_unshared(-1)
    elseif redis.call('HGET', entries, id) == address then
      redis.call('HDEL', entries, id)
    end
  end
end
local left = redis.call('SCARD', node_ids)
if left > 0 then
  redis.call('SADD', node_ids, '')
else
  redis.call('HDEL', nodes, address)
  redis.call('ZREM', leases, address)
end
return left
