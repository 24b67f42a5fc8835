-- Renews the lease.
-- ARGV: address, process, caller's clock in µs, lease in ms
-- -> {OK | REVIVED (it had expired), clock, entry count, foreign balance} | {LOST}
local address = ARGV[1]
if redis.call('HGET', nodes, address) ~= ARGV[2] then return {'LOST'} end
local lived = lives(address)
return {lived and 'OK' or 'REVIVED', renew(address, ARGV[3], ARGV[4])}
