-- Removes a node that has released everything. Any other stays until its lease expires.
-- ARGV: address, process
-- -> 1 removed | 0 another process holds the address, or entries are left
local address = ARGV[2]
if (holder_of(address)) ~= ARGV[3] or count_ids() > 0 then return 0 end
redis.call('SREM', node_ids, '')
redis.call('HDEL', nodes, address)
redis.call('ZREM', leases, address)
return 1
