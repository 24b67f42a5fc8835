-- Removes some entries of a node that expired, and the node after its last one. The lease is checked in
-- each chunk: between two of them the node may have come back.
-- ARGV: address, mark of the lease, how many entries
-- -> entries left | -1 not that lease, or it lives
local address = ARGV[1]
if redis.call('ZSCORE', leases, address) ~= ARGV[2] or lives(address) then return -1 end
for _, id in ipairs(redis.call('SPOP', mine, ARGV[3])) do
  local _, holder = owner(redis.call('HGET', owns, id))
  if holder == address then
    redis.call('HDEL', owns, id)
    if redis.call('HGET', places, id) == address then redis.call('HDEL', places, id) end
  end
end
local left = redis.call('SCARD', mine)
if left == 0 then
  redis.call('HDEL', nodes, address)
  redis.call('ZREM', leases, address)
end
return left
