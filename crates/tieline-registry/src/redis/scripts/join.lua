-- Takes the address for a process, or keeps it.
-- ARGV: address, process, process to replace ('' = none), caller's clock in µs, lease in ms
-- -> {OK, clock, entry count, foreign balance} | {BUSY, holder}
local address, process = ARGV[1], ARGV[2]
local holder = redis.call('HGET', nodes, address)
if holder and holder ~= process and holder ~= ARGV[3] and lives(address) then return {'BUSY', holder} end
redis.call('HSET', nodes, address, process)
return {'OK', renew(address, ARGV[4], ARGV[5])}
