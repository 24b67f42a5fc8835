-- The orderly end of a node that has released everything; another stays until its lease runs out.
-- ARGV: address, process
-- -> 1 gone | 0 not the process's, or entries are left
local address = ARGV[1]
if redis.call('HGET', nodes, address) ~= ARGV[2] or redis.call('SCARD', mine) > 0 then return 0 end
redis.call('HDEL', nodes, address)
redis.call('ZREM', leases, address)
return 1
