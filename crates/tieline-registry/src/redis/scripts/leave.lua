-- Removes a node that has released everything. Any other stays until its lease expires.
-- ARGV: address, process
-- -> 1 removed | 0 another process holds the address, or entries are left
local address = ARGV[1]
if redis.call('HGET', nodes, address) ~= ARGV[2] or redis.call('SCARD', node_ids) > 0 then return 0 end
redis.call('HDEL', nodes, address)
redis.call('ZREM', leases, address)
return 1
